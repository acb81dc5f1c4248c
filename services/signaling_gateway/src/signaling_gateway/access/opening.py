"""Access, put together: what `app.py` runs beside REST and signaling."""

import re
import secrets
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from chassis.bus import Bus
from chassis.clock import Clock
from chassis.database import Database
from chassis.health import Health
from chassis.loops import Loop, running
from chassis.outbox import OutboxRelay
from chassis.requests import call
from contracts.hosts import FIND_PEER_HOST, NamePeer

from signaling_gateway.access.administration import Administration
from signaling_gateway.access.auditing import WRITE_EVERY, Audit
from signaling_gateway.access.doorman import Doorman
from signaling_gateway.access.entrance import Entrance, HostOf, IsKeyed
from signaling_gateway.access.issuing import Issuing
from signaling_gateway.access.memory import LOOK_EVERY, Memory
from signaling_gateway.access.signing import Algorithm, PublicKey
from signaling_gateway.access.store import AccessStore
from signaling_gateway.access.tokens import FAMILY_LIFE, REFRESHED_UP_TO, Tokens
from signaling_gateway.access.wishes import WarpDoor

FORGET_EVERY = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Rules:
    """What settings say of access."""

    enforced: bool
    secret: str = field(repr=False)
    """Empty: one is made and kept in the database, for open mode alone."""
    previous_secrets: tuple[str, ...] = field(repr=False)
    algorithm: Algorithm
    token_life: timedelta
    key_in_settings: str = field(repr=False)
    checks_keys: bool
    checks_tokens: bool
    warp_anonymous: bool
    warp_peer_ids: str


@dataclass(frozen=True, slots=True)
class Access:
    """What the rest of the gateway uses of it."""

    memory: Memory
    doorman: Doorman
    issuing: Issuing
    administration: Administration
    audit: Audit
    door: WarpDoor
    is_keyed: IsKeyed
    public_keys: tuple[PublicKey, ...]

    def entrance(self, bus: Bus, clock: Clock, kinds: Collection[str]) -> Entrance:
        """What signaling lets sockets in by, out of all `kinds` of frames."""
        return Entrance(
            doorman=self.doorman,
            door=self.door,
            is_keyed=self.is_keyed,
            host_of=_hosts_known_to(bus),
            audit=self.audit,
            clock=clock,
            kinds=kinds,
        )


@asynccontextmanager
async def open_access(
    *, bus: Bus, database: Database, health: Health, clock: Clock, rules: Rules
) -> AsyncIterator[Access]:
    """Know who may come in, keep knowing it, and put on record what happens, until the block ends."""
    store = AccessStore(database)
    secret = rules.secret or await store.secret(secrets.token_urlsafe(48))
    tokens = Tokens((secret, *rules.previous_secrets), rules.token_life, rules.algorithm)
    memory, audit = Memory(store, bus, rules.key_in_settings), Audit(store, clock)
    doorman = Doorman(
        memory, tokens, clock, enforced=rules.enforced, checks_keys=rules.checks_keys, checks_tokens=rules.checks_tokens
    )
    door = WarpDoor(rules.warp_anonymous, re.compile(rules.warp_peer_ids))
    issuing = Issuing(store=store, memory=memory, doorman=doorman, tokens=tokens, door=door, audit=audit, clock=clock)

    async def forget() -> None:
        now = clock.now()
        await store.forget(now - rules.token_life - REFRESHED_UP_TO, now - FAMILY_LIFE - rules.token_life)

    await memory.listen()
    look = Loop("access", LOOK_EVERY, memory.look)
    health.watch_loop(look)
    loops = (look, Loop("audit", WRITE_EVERY, audit.write), Loop("forgotten tokens", FORGET_EVERY, forget))
    async with OutboxRelay(database, bus):
        async with running(*loops):
            administration = Administration(store, memory, audit, clock)
            yield Access(memory, doorman, issuing, administration, audit, door, store.is_keyed, tokens.public_keys)
        await audit.write()  # once its loop is over, so that nothing is written twice


def _hosts_known_to(bus: Bus) -> HostOf:
    async def host_of(peer_id: str) -> str | None:
        host = (await call(bus, FIND_PEER_HOST, NamePeer(peer_id=peer_id))).host
        return host.host_id if host is not None else None

    return host_of
