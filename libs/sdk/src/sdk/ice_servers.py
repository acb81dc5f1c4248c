"""Which STUN and TURN servers a host uses: those it was given, or the gateway's list, asked for now and then."""

import logging
import time
from collections.abc import Sequence
from math import inf

from contracts.frames import IceServer

from sdk.errors import RefusedError, UnreachableError
from sdk.registration import Registration

log = logging.getLogger(__name__)

USED_FOR_S = 300.0
"""How long the gateway's list is used before it is asked for again; or half of what is left of the TURN credentials in
it, where that is less."""


class IceServers:
    def __init__(self, registration: Registration, own: Sequence[IceServer] | None) -> None:
        self._registration = registration
        self._own = own
        self._good_until = float("-inf")
        self._servers: Sequence[IceServer] = ()

    async def now(self) -> Sequence[IceServer]:
        if self._own is not None:
            return self._own
        now = time.monotonic()
        if now < self._good_until:
            return self._servers
        try:
            self._servers = await self._registration.ice_servers()
        except (RefusedError, UnreachableError) as error:
            # The list of before is most likely right still, and without any a local network works.
            log.warning("the gateway's STUN and TURN servers are not known: %s", error)
        else:
            self._good_until = now + min(USED_FOR_S, _lasting_s(self._servers) / 2)
        return self._servers


def _lasting_s(servers: Sequence[IceServer]) -> float:
    """How long the credentials are good for: in the REST form of TURN servers a username begins with its end."""
    ends = [server.username.partition(":")[0] for server in servers if server.username]
    return min((float(end) - time.time() for end in ends if end.isdecimal()), default=inf)
