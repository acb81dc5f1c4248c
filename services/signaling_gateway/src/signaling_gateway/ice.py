"""The STUN and TURN servers that peers are given."""

import base64
import hashlib
import hmac
import time
from collections.abc import Sequence

from contracts.frames import IceServer

CREDENTIALS_LIVE_S = 3600
"""A connection needs them only while it comes about or changes its way."""


class IceServers:
    """From configuration; TURN credentials are made for each peer, as coturn's REST form wants them."""

    def __init__(self, stun: Sequence[str], turn: Sequence[str], secret: str) -> None:
        self._stun = tuple(_with_scheme(url, "stun") for url in stun)
        self._turn = tuple(_with_scheme(url, "turn") for url in turn)
        self._secret = secret.encode()

    def of(self, peer_id: str) -> tuple[IceServer, ...]:
        """The servers for one peer."""
        servers = (IceServer(urls=self._stun),) if self._stun else ()
        return (*servers, self._relay(peer_id)) if self._turn else servers

    def _relay(self, peer_id: str) -> IceServer:
        if not self._secret:
            return IceServer(urls=self._turn)
        username = f"{int(time.time()) + CREDENTIALS_LIVE_S}:{peer_id}"
        digest = hmac.new(self._secret, username.encode(), hashlib.sha1).digest()
        return IceServer(urls=self._turn, username=username, credential=base64.b64encode(digest).decode())


def _with_scheme(url: str, scheme: str) -> str:
    return url if url.startswith(("stun:", "stuns:", "turn:", "turns:")) else f"{scheme}:{url}"
