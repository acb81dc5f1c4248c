"""The STUN and TURN servers that peers are given."""

import base64
import hashlib
import hmac
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from contracts.frames import IceServer
from contracts.identifiers import to_token

from signaling_gateway.rooms.host_regions import HostRegions

LONGEST_NAME = 192
"""Bytes of a peer's or session's name in a TURN username, which STUN gives 509 in all."""

_REGIONAL = re.compile(r"([^:?/=]+)=(.+)")


@dataclass(frozen=True, slots=True)
class TurnServer:
    """One URL of one, and its region, as hosts say of themselves where they are; without one it is for everybody."""

    url: str
    region: str | None = None

    @classmethod
    def read(cls, text: str) -> Self:
        """`turn:HOST`, or `REGION=turn:HOST`."""
        found = _REGIONAL.fullmatch(text)
        region, url = (found[1].strip(), found[2].strip()) if found else (None, text)
        return cls(_with_scheme(url, "turn"), region)


class IceServers:
    """From configuration; TURN credentials are made for each peer and session, as coturn's REST form wants them.

    Where a player is nobody knows, of a host it says so itself: the TURN servers of the host's region come first, for
    its players as for itself. Whichever of them is taken, what it relays goes to that host and from it.
    """

    def __init__(
        self,
        stun: Sequence[str],
        turn: Sequence[TurnServer],
        secret: str,
        life: timedelta,
        regions: HostRegions,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`clock`: Unix time, which is what the TURN server goes by."""
        self._stun = tuple(_with_scheme(url, "stun") for url in stun)
        self._turn = tuple(turn)
        self._secret = secret.encode()
        self._life_s = int(life.total_seconds())
        self._regions = regions
        self._clock = clock
        self._regional = any(server.region is not None for server in turn)

    @property
    def renewed_every(self) -> timedelta | None:
        """How often those who stay are to be given others: long before theirs end. None where they have no end."""
        return timedelta(seconds=self._life_s / 2) if self._turn and self._secret else None

    async def learn(self, host_id: str | None) -> None:
        """Find out where a host is, if that changes anything; soon, or not at all."""
        if self._regional and host_id is not None:
            await self._regions.learn(host_id)

    def of(self, peer_id: str, session_id: str | None = None, host_id: str | None = None) -> tuple[IceServer, ...]:
        """The servers for one peer, in one session; those in the host's region first, if it is known by now."""
        return self._near(self._regions.known(host_id), peer_id, session_id)

    async def of_peer(self, peer_id: str) -> tuple[IceServer, ...]:
        """The servers for a peer in whatever session; those in its own region first, if it is a host."""
        region = await self._regions.of_peer(peer_id) if self._regional else None
        return self._near(region, peer_id, None)

    def _near(self, region: str | None, peer_id: str, session_id: str | None) -> tuple[IceServer, ...]:
        stun = (IceServer(urls=self._stun),) if self._stun else ()
        shown = self._shown(peer_id, session_id) if self._secret and self._turn else {}
        return (*stun, *(IceServer(urls=urls, **shown) for urls in _nearest_first(self._turn, region)))

    def _shown(self, peer_id: str, session_id: str | None) -> dict[str, str]:
        """What the peer shows to a TURN server: until when, who, and where, so that a change of any of them is seen."""
        names = [peer_id] if session_id is None else [peer_id, session_id]
        username = f"{int(self._clock()) + self._life_s}:{'.'.join(map(_name, names))}"
        digest = hmac.new(self._secret, username.encode(), hashlib.sha1).digest()
        return {"username": username, "credential": base64.b64encode(digest).decode()}


def _nearest_first(servers: Sequence[TurnServer], region: str | None) -> list[tuple[str, ...]]:
    """URLs by region: those of this one, those of none, then the others, each group as it was configured."""
    by_region: dict[str | None, list[str]] = {}
    for server in servers:
        by_region.setdefault(_folded(server.region), []).append(server.url)
    if region is None:
        return [tuple(urls) for urls in by_region.values()]
    order = sorted(by_region, key=lambda name: (name != _folded(region), name is not None))
    return [tuple(by_region[name]) for name in order]


def _folded(region: str | None) -> str | None:
    return region.strip().casefold() if region is not None else None


def _name(name: str) -> str:
    """Write a name so that a TURN server reads its end in it: coturn splits at colons, and counts by what is behind."""
    token = to_token(name)
    return token if len(token) <= LONGEST_NAME else f"sha256-{hashlib.sha256(name.encode()).hexdigest()}"


def _with_scheme(url: str, scheme: str) -> str:
    return url if url.lower().startswith(("stun:", "stuns:", "turn:", "turns:")) else f"{scheme}:{url}"
