"""One source for all consoles that are open on this gateway: looked at once, given to each as the same bytes.

Each is given what it has not got yet, and waits for none of the others; one that does not read is dropped.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta

import orjson
from chassis.bus import Bus
from chassis.clock import Clock
from chassis.loops import every
from chassis.refusals import UnavailableError
from contracts.subjects import Message
from prometheus_client import Counter, Gauge
from pydantic import AwareDatetime

from signaling_gateway.console.facts import Facts
from signaling_gateway.console.instances import Instances, InstanceSeen
from signaling_gateway.console.lists import Listed, Listing, Lists
from signaling_gateway.console.npcs import Npcs
from signaling_gateway.monitoring.dashboard import Dashboard

LOOK_EVERY = timedelta(milliseconds=250)
"""What happened is on the page this late at most; without news nothing is sent but the totals, each second."""

MOST_UNREAD = 16
"""Parcels: four seconds of news. Who is further behind is shown the present sooner by coming anew."""

LISTEN_ON_S = 60.0
"""After the last console has closed: one that is reloaded misses nothing."""

OPEN = Gauge("p2p_consoles_open", "Console pages that are open here.")
DROPPED = Counter("p2p_consoles_dropped", "Console pages that did not read what they were sent.")


class About(Message):
    """What the page must know once."""

    version: str
    gateway: str
    enforced: bool
    jaeger_url: str | None
    """Where traces can be looked at, beside our own store."""
    traces: bool
    """Whether there is a store of spans to ask."""


class Suite(Message):
    """The suite at one moment."""

    at: AwareDatetime
    dashboard: Dashboard
    instances: tuple[InstanceSeen, ...]
    facts: dict[str, int]
    """Heard while consoles were open, by owner."""


class ConsoleLook(Message):
    """All that a console shows first."""

    about: About
    suite: Suite
    list: Listed


class Viewer:
    """One open console."""

    def __init__(self, listing: Listing, zone_id: str | None) -> None:
        self.listing = listing
        self.zone_id = zone_id
        self.over = asyncio.Event()
        """Set when it is given no more."""
        self._unread: asyncio.Queue[bytes] = asyncio.Queue(MOST_UNREAD)
        self._has: dict[str, bytes] = {}
        self._facts = 0

    def give(self, news: Iterator[tuple[str, bytes]]) -> None:
        """Put what it has not got into one parcel."""
        fresh = [(name, body) for name, body in news if body and self._has.get(name) is not body]
        if not fresh:
            return
        self._has.update(fresh)
        try:
            self._unread.put_nowait(
                b"".join(b"event: %s\ndata: %s\n\n" % (name.encode(), body) for name, body in fresh)
            )
        except asyncio.QueueFull:
            DROPPED.inc()
            self.over.set()

    def after(self, number: int) -> int:
        """Take note that facts up to `number` are told; gives the number up to which they were before."""
        before, self._facts = self._facts, number
        return before

    async def parcels(self) -> AsyncIterator[bytes]:
        """What to write, one after the other."""
        while True:
            yield await self._unread.get()


class Console:
    """The source."""

    def __init__(self, bus: Bus, look: Callable[[], Awaitable[bytes]], clock: Clock, about: About) -> None:
        """`look`: the dashboard, the same object for as long as it is the same look."""
        self._about = about.model_dump_json().encode()
        self._look = look
        self._clock = clock
        self._facts = Facts(bus)
        self._instances = Instances(bus)
        self._lists = Lists(bus)
        self._npcs = Npcs(bus)
        self._viewers: set[Viewer] = set()
        self._dashboard = b""
        self._suite = b""
        self._watched_at = 0.0
        self._closing = False
        bus.on_reconnect(self._npcs.begin_anew)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Look as long as the block lasts; then consoles are sent away, to another gateway or to this one's heir."""
        async with every(LOOK_EVERY, self.tick, "console"):
            try:
                yield
            finally:
                self._closing = True
                for viewer in self._viewers:
                    viewer.over.set()

    @asynccontextmanager
    async def watched(self, listing: Listing, zone_id: str | None) -> AsyncIterator[Viewer]:
        """Have somebody watch, who has the present state at once."""
        if self._closing:
            raise UnavailableError("This gateway is stopping.", retry_after_s=1)
        viewer = Viewer(listing, zone_id)
        self._viewers.add(viewer)
        OPEN.set(len(self._viewers))
        try:
            await asyncio.gather(self._facts.listen(), self._look_at_suite(), self._lists.look(listing))
            viewer.give(self._news(viewer, self._facts.read(), {}))
            yield viewer
        finally:
            self._viewers.discard(viewer)
            OPEN.set(len(self._viewers))

    async def one_look(self, listing: Listing) -> bytes:
        """Say once what a console is shown first."""
        _, listed = await asyncio.gather(self._look_at_suite(), self._lists.look(listing))
        return b'{"about":%s,"suite":%s,"list":%s}' % (self._about, self._suite, listed)

    async def tick(self) -> None:
        """Look again, and give each what is new."""
        newest = self._facts.read()
        self._lists.changed(self._facts.touched)
        self._facts.touched.clear()
        listings = {viewer.listing for viewer in self._viewers}
        self._lists.keep_only(listings)
        await self._npcs.follow({viewer.zone_id for viewer in self._viewers if viewer.zone_id is not None})
        if not self._viewers:
            await self._rest()
            return
        self._watched_at = time.monotonic()
        await asyncio.gather(self._look_at_suite(), *map(self._lists.look, listings))
        told: dict[int, bytes] = {}
        for viewer in self._viewers:
            viewer.give(self._news(viewer, newest, told))

    async def _rest(self) -> None:
        if time.monotonic() - self._watched_at > LISTEN_ON_S:
            await self._facts.rest()

    def _news(self, viewer: Viewer, newest: int, told: dict[int, bytes]) -> Iterator[tuple[str, bytes]]:
        yield "about", self._about
        yield "suite", self._suite
        yield "list", self._lists.of(viewer.listing)
        if viewer.zone_id is not None:
            yield "npcs", self._npcs.of(viewer.zone_id)
        before = viewer.after(newest)
        if before != newest:
            if before not in told:
                told[before] = self._facts.since(before)
            yield "facts", told[before]

    async def _look_at_suite(self) -> None:
        await self._instances.ask()
        dashboard = await self._look()
        if dashboard is self._dashboard:
            return
        self._dashboard = dashboard
        self._suite = orjson.dumps(
            {
                "at": self._clock.now(),
                "dashboard": orjson.Fragment(dashboard),
                "instances": self._instances.seen(),
                "facts": dict(self._facts.counts),
            }
        )
