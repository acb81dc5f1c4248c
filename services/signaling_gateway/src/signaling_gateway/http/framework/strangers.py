"""Web pages of others in a browser of ours: what they may not have done, and under which names we answer them.

A browser sends what any page asks of it to any address, this machine's own among them, and says in `Origin` whose page
it was; a page whose own name leads to this machine for a moment says that name in `Host`. Programs say neither.
"""

from collections.abc import Collection, Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

from signaling_gateway.access.errors import ForbiddenError

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing; what pages may read of them, CORS says."""

ANY = "*"

_PORTS = {"http": 80, "https": 443}


class Strangers:
    """Asked before everything else, in both modes."""

    def __init__(self, origins: Collection[str], names: Collection[str] | None) -> None:
        """`origins` of pages that may call beside our own; `names` beside loopback's, or None for every name."""
        self._any_origin = ANY in origins
        self._origins = frozenset(map(str.lower, origins))
        self._names = None if names is None or ANY in names else frozenset(map(str.lower, names))

    def check(self, headers: Iterable[tuple[bytes, bytes]], method: str | None) -> None:
        """ForbiddenError when a request, or without a method a WebSocket, is a stranger's."""
        origins = [value.decode("latin-1") for name, value in headers if name == b"origin"]
        hosts = [value.decode("latin-1") for name, value in headers if name == b"host"]
        if self._names is not None and not all(map(self._is_our_name, hosts)):
            raise ForbiddenError("This gateway listens on loopback alone, and ALLOWED_HOSTS does not have this name.")
        if method in SAFE or self._any_origin:
            return
        for origin in origins:
            if origin and origin.lower() not in self._origins and not any(_is_own(origin, host) for host in hosts):
                raise ForbiddenError("Pages of this origin may not call; CORS_ORIGINS names those that may.")

    def _is_our_name(self, host: str) -> bool:
        found = _place(f"//{host}")
        return not host or (found is not None and (_is_loopback(found[1]) or found[1] in (self._names or ())))


def _is_own(origin: str, host: str) -> bool:
    """Whether a page comes from where it calls; TLS may end before us, so the scheme is the page's own."""
    page = _place(origin)
    return page is not None and page[0] in _PORTS and page == _place(f"{page[0]}://{host}")


def _place(url: str) -> tuple[str, str, int | None] | None:
    """Read scheme, host and port, folded; None where there is no host or it is malformed."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    return (parts.scheme, host, port or _PORTS.get(parts.scheme)) if host else None


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
