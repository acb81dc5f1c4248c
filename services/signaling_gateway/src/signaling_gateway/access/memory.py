"""What this gateway holds of keys, kicks and revocations: read from the rows when they have changed, told of by others.

Whoever changes them tells all gateways; the look at their revision every two seconds is for the word that got lost.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import structlog
from chassis.bus import Bus
from chassis.refusals import UnavailableError
from contracts.access import ACCESS_CHANGED, AccessChanged, Role
from nats.aio.msg import Msg

from signaling_gateway.access.keys import fingerprint
from signaling_gateway.access.revocations import KeyHeld, Revocations
from signaling_gateway.access.store import AccessStore

log = structlog.stdlib.get_logger()

LOOK_EVERY = timedelta(seconds=2)

ENVIRONMENT = "environment"
"""The id of the key that settings give."""


class Memory:
    """Made by `AccessStore`'s rows; `listen` to what happens to them."""

    def __init__(self, store: AccessStore, bus: Bus, key_in_settings: str) -> None:
        self._store = store
        self._bus = bus
        self._key_in_settings = key_in_settings
        self._held: Revocations | None = None
        self._reading = asyncio.Lock()
        self._hear: list[Callable[[Revocations], None]] = []

    @property
    def held(self) -> Revocations:
        """The present state; UnavailableError before it was read for the first time."""
        if self._held is None:
            raise UnavailableError("Who may come in is not known yet.")
        return self._held

    def on_change(self, hear: Callable[[Revocations], None]) -> None:
        """Have `hear` called with each new state."""
        self._hear.append(hear)

    async def listen(self) -> None:
        """Read for the first time, and hear of changes from now on."""
        await self._bus.subscribe(ACCESS_CHANGED.pattern, self._told)
        self._bus.on_reconnect(self.look)
        await self._read()

    async def look(self) -> None:
        """Read again if the rows are no longer those that are held."""
        if self._held is None or await self._store.revision() != self._held.revision:
            await self._read()

    async def changed(self) -> None:
        """This gateway has changed the rows: hold them, and tell the others."""
        await self._read()
        word = AccessChanged(revision=self.held.revision)
        try:
            await self._bus.publish(ACCESS_CHANGED.pattern, word.model_dump_json().encode())
        except UnavailableError:
            log.info("access.change_untold")  # they look themselves

    async def _told(self, msg: Msg) -> None:
        word = AccessChanged.model_validate_json(msg.data)
        if self._held is None or self._held.revision < word.revision:
            await self._read()

    async def _read(self) -> None:
        async with self._reading:  # two at once could end with the older state
            held = self._with_settings(await self._store.held())
            self._held = held
        for hear in self._hear:
            hear(held)

    def _with_settings(self, held: Revocations) -> Revocations:
        if not self._key_in_settings:
            return held
        key = {fingerprint(self._key_in_settings): KeyHeld(ENVIRONMENT, Role.SERVER)}
        return replace(held, keys={**held.keys, **key}, key_ids=held.key_ids | {ENVIRONMENT})
