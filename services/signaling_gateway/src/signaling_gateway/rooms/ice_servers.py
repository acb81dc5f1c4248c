"""The STUN and TURN servers that peers are given."""

import base64
import hashlib
import hmac
import time
from collections.abc import Callable, Sequence
from datetime import timedelta

from contracts.frames import IceServer
from contracts.identifiers import to_token

LONGEST_NAME = 192
"""Bytes of a peer's name in a TURN username, which STUN gives 509 in all."""


class IceServers:
    """From configuration; TURN credentials are made for each peer, as coturn's REST form wants them."""

    def __init__(
        self,
        stun: Sequence[str],
        turn: Sequence[str],
        secret: str,
        life: timedelta,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`clock`: Unix time, which is what the TURN server goes by."""
        self._stun = tuple(_with_scheme(url, "stun") for url in stun)
        self._turn = tuple(_with_scheme(url, "turn") for url in turn)
        self._secret = secret.encode()
        self._life_s = int(life.total_seconds())
        self._clock = clock

    def of(self, peer_id: str) -> tuple[IceServer, ...]:
        """The servers for one peer."""
        servers = (IceServer(urls=self._stun),) if self._stun else ()
        return (*servers, self._relay(peer_id)) if self._turn else servers

    def _relay(self, peer_id: str) -> IceServer:
        if not self._secret:
            return IceServer(urls=self._turn)
        username = f"{int(self._clock()) + self._life_s}:{_name(peer_id)}"
        digest = hmac.new(self._secret, username.encode(), hashlib.sha1).digest()
        return IceServer(urls=self._turn, username=username, credential=base64.b64encode(digest).decode())


def _name(peer_id: str) -> str:
    """Write a peer's name so that a TURN server reads its end in it: coturn splits at colons, and counts by name."""
    name = to_token(peer_id)
    return name if len(name) <= LONGEST_NAME else f"sha256-{hashlib.sha256(peer_id.encode()).hexdigest()}"


def _with_scheme(url: str, scheme: str) -> str:
    return url if url.startswith(("stun:", "stuns:", "turn:", "turns:")) else f"{scheme}:{url}"
