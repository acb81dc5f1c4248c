"""Who is at the other end: the socket's address, unless a proxy that is trusted says for whom it speaks.

Proxies append to `X-Forwarded-For`, so it is read from the right: the first address there that is no trusted proxy's is
the client's; what stands to its left is what the client has said of itself.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import ip_address

from chassis.proxied import PROXIED, Network, is_within
from starlette.types import ASGIApp, Receive, Scope, Send

FORWARDED = b"x-forwarded-for"

MOST_PROXIES = 10
"""Addresses that are looked at; a way through more proxies of one's own does not exist."""


class Clients:
    """ASGI middleware, outermost: puts the client's address where the socket's is."""

    def __init__(self, app: ASGIApp, trusted: Sequence[Network]) -> None:
        self._app = app
        self._trusted = tuple(trusted)
        self._trusts = lru_cache(1024)(self._is_trusted)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope["state"].get(PROXIED) or scope["client"]
        address = client[0] if client else ""
        if self._trusts(address):
            said = [value for name, value in scope["headers"] if name == FORWARDED]
            address = self._client_of(address, said) if said else address
        scope["client"] = (address, client[1] if client else 0)
        await self._app(scope, receive, send)

    def _client_of(self, proxy: str, said: Iterable[bytes]) -> str:
        address = proxy
        named = b",".join(said).decode("latin-1").rsplit(",", MOST_PROXIES)[-MOST_PROXIES:]
        for name in reversed(named):
            before = _address(name.strip())
            if before is None:
                break  # what somebody trusted has said in so many words still counts
            address = before
            if not self._trusts(address):
                break
        return address

    def _is_trusted(self, address: str) -> bool:
        return is_within(address, self._trusted)


def _address(written: str) -> str | None:
    """Read an address, as proxies write them: some with a port, or in brackets."""
    if written.startswith("["):
        written = written[1:].partition("]")[0]
    elif written.count(":") == 1:
        written = written.partition(":")[0]
    try:
        return str(ip_address(written))
    except ValueError:
        return None
