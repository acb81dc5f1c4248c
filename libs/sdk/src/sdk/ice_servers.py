"""Which STUN and TURN servers a host uses: those it was given, or the gateway's list, asked for now and then."""

import logging
import time
from collections.abc import Sequence

from contracts.frames import IceServer

from sdk.errors import RefusedError, UnreachableError
from sdk.registration import Registration

log = logging.getLogger(__name__)

USED_FOR_S = 300.0
"""How long the gateway's list is used before it is asked for again: TURN credentials in it are short-lived."""


class IceServers:
    def __init__(self, registration: Registration, own: Sequence[IceServer] | None) -> None:
        self._registration = registration
        self._own = own
        self._asked_at = -USED_FOR_S
        self._servers: Sequence[IceServer] = ()

    async def now(self) -> Sequence[IceServer]:
        if self._own is not None:
            return self._own
        now = time.monotonic()
        if now - self._asked_at < USED_FOR_S:
            return self._servers
        try:
            self._servers = await self._registration.ice_servers()
        except (RefusedError, UnreachableError) as error:
            # The list of before is most likely right still, and without any a local network works.
            log.warning("the gateway's STUN and TURN servers are not known: %s", error)
        else:
            self._asked_at = now
        return self._servers
