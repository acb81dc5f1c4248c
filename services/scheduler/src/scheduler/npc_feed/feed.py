"""Use case: the leading scheduler tells the NPCs of every zone that is played.

Zones side by side on one loop; of one zone messages go out in the order of their numbers. A word that is urgent goes
out as it comes, and what comes close behind it together; the rest when the zone's turn is there.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from itertools import count
from typing import Protocol

import structlog
from chassis import tracing
from chassis.bus import Bus
from chassis.clock import Clock
from chassis.refusals import UnavailableError
from contracts.npcs import FEED_WANTED, NPC_FEED, FeedWanted
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from opentelemetry.trace import Span
from prometheus_client import Counter as Metric
from prometheus_client import Gauge
from pydantic import ValidationError

from scheduler.calendar import Tick
from scheduler.npc_feed.cadence import first_number, turn
from scheduler.npc_feed.composition import ZoneComposition
from scheduler.npc_feed.following import Following
from scheduler.npc_feed.hearing import Hearing
from scheduler.npc_feed.letters import Letters
from scheduler.npc_feed.played import PlayedZone
from scheduler.npc_feed.zone import URGENT_TOGETHER_S, Zone

log = structlog.stdlib.get_logger()

LOOK_EVERY_S = 1.0
"""How soon a zone is followed after its first session began; one small statement."""

FULL_ON_WISH_EVERY_S = 1.0
"""Whoever comes later waits this long at most; a crowd that comes at once costs one message."""

LET_GO_AFTER_S = 10.0
"""Whoever may not act, for its lease was renewed late, listens on; once it is renewed nothing was missed."""

TURNS_AT_ONCE = 16
"""Zones composed before others have the loop: some 3 ms."""

MESSAGES = Metric("p2p_npc_feed_messages", "Messages of the NPC feed.", ["kind"])
BYTES = Metric("p2p_npc_feed_bytes", "Bytes of the NPC feed.")
GAPS = Metric("p2p_npc_feed_gaps", "Numbers of the NPC feed that somebody has missed and asked about.")
NPCS = Gauge("p2p_npc_feed_npcs", "NPCs that this scheduler tells of.")
STALE = Gauge("p2p_npc_feed_zones_stale", "Zones of which the AI world has not spoken for two intervals.")
SILENCE = Gauge("p2p_npc_feed_silence_seconds", "How long ago it spoke of the zone that it has been silent of longest.")
ZONES = Gauge("p2p_npc_feed_zones", "Zones whose NPCs this scheduler tells; 0 where it does not lead.")


class Leads(Protocol):
    """Whether this process leads, and under which term."""

    @property
    def term(self) -> int | None: ...


class Played(Protocol):
    """Which zones have a live session."""

    async def now(self) -> dict[str, PlayedZone]: ...


class Feed:
    """`round` is called many times a second, `report` when the job is due."""

    def __init__(
        self,
        bus: Bus,
        leadership: Leads,
        played: Played,
        clock: Clock,
        *,
        every: timedelta,
        full_every: timedelta,
        forgotten_after: timedelta,
    ) -> None:
        self._bus = bus
        self._leadership = leadership
        self._played = played
        self._clock = clock
        self._every = every.total_seconds()
        self._full_every = full_every.total_seconds()
        self._forgotten_after = forgotten_after.total_seconds()
        self._following = Following(bus)
        self._zones: dict[str, Zone] = {}
        self._hearing = Hearing(self._zones, Letters(bus, clock), self._hurry)
        self._numbers: dict[str, count[int]] = {}
        self._numbered_in: int | None = None
        """The term of these numbers."""
        self._term: int | None = None
        self._led_at = float("-inf")
        self._looked_at = float("-inf")
        self._unrecalled: set[str] = set()
        self._told: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        bus.on_reconnect(self._reconnected)

    @property
    def zones(self) -> Mapping[str, Zone]:
        """By id, those that are told; it changes under the caller's hands."""
        return self._zones

    async def round(self) -> None:
        """Tell what is due, if this process leads."""
        term = self._leadership.term
        if term is None and time.monotonic() - self._led_at < LET_GO_AFTER_S:
            return
        if term != self._term:
            await self._begin(term)
        if self._term is None:
            return
        self._led_at = time.monotonic()
        if time.monotonic() - self._looked_at >= LOOK_EVERY_S:
            await self._look()
        due = [zone for zone in list(self._zones.values()) if self._takes_turn(zone)]
        for index, zone in enumerate(due, 1):
            await self._tell(zone)
            if index % TURNS_AT_ONCE == 0:
                await asyncio.sleep(0)

    async def report(self, tick: Tick) -> str:
        """Say what was told since the last time; by hand, tell everything of every zone."""
        if tick.manual:
            for zone in list(self._zones.values()):
                zone.composition.want_full()
                await self._tell(zone)
        told, self._told = self._told, Counter()
        now = time.monotonic()
        npcs = sum(len(zone.composition) for zone in self._zones.values())
        heard = [zone.composition.heard_at for zone in self._zones.values()]
        NPCS.set(npcs)
        STALE.set(sum(zone.is_stale(now) for zone in self._zones.values()))
        SILENCE.set(max((now - at for at in heard if at is not None), default=0.0))
        return (
            f"{len(self._zones)} zones, {npcs} NPCs: "
            f"{told['messages']} messages, {told['bytes']} bytes; {told['stale']} stale"
        )

    async def wanted(self, msg: Msg) -> None:
        """Somebody knows nothing of a zone's feed, or has missed a number."""
        zone_id = FEED_WANTED.parse(msg.subject)["zone_id"]
        zone = self._zones.get(zone_id)
        if self._term is None or self._leadership.term != self._term or zone is None:
            self._looked_at = float("-inf")  # perhaps its first session has just begun
            return
        if zone.missed(_last_heard(msg.data)):
            GAPS.inc()
        zone.composition.want_full()
        if zone_id in self._unrecalled:
            return  # told when what was said before is known, or at its turn
        now = time.monotonic()
        if now - zone.wished_at >= FULL_ON_WISH_EVERY_S:
            zone.wished_at = now
            await self._tell(zone)
        else:
            self._tell_later(zone, zone.wished_at + FULL_ON_WISH_EVERY_S - now)

    async def _begin(self, term: int | None) -> None:
        await self._following.let_go(self._zones)
        for zone in self._zones.values():
            if zone.waiting is not None:
                zone.waiting.cancel()
            zone.put_off.clear()
        self._zones.clear()
        if term is not None and term != self._numbered_in:  # a term that was nearly over may come back
            self._numbers.clear()
            self._numbered_in = term
        self._term = term
        self._looked_at = float("-inf")
        for gauge in (ZONES, NPCS, STALE, SILENCE):
            gauge.set(0)

    async def _look(self) -> None:
        """Follow the zones that are played now, and let the others go."""
        self._looked_at = time.monotonic()
        try:
            played = await self._played.now()
        except UnavailableError:
            log.info("feed.played_zones_unknown")  # it goes on with those it knows
            played = None
        if played is not None:
            gone = self._zones.keys() - played.keys()
            await self._following.let_go(gone)
            for zone_id in gone:
                del self._zones[zone_id]
            new = [zone for zone_id, zone in played.items() if zone_id not in self._zones]
            for zone in new:
                self._zones[zone.zone_id] = self._zone(zone)
            for zone_id, zone in played.items():
                self._zones[zone_id].interval = zone.interval_s or self._every
                self._zones[zone_id].composition.map_name = zone.map_name
            self._unrecalled |= {zone.zone_id for zone in new}
            await self._following.follow([zone.zone_id for zone in new], self._hearing.heard)
            ZONES.set(len(self._zones))
        await self._recall()

    def _zone(self, played: PlayedZone) -> Zone:
        assert self._term is not None  # noqa: S101 -- only a leader has zones
        number = self._numbers.setdefault(played.zone_id, count(first_number(self._term)))
        composition = ZoneComposition(played.zone_id, played.map_name)
        return Zone(composition, played.interval_s or self._every, number)

    async def _recall(self) -> None:
        """Hear what was said before; what JetStream cannot say now is asked for again."""
        wanted = self._unrecalled & self._zones.keys()
        if not wanted:
            return
        try:
            await self._following.recall(wanted, self._hearing.recalled)
        except (NatsError, UnavailableError) as error:
            log.warning("feed.not_recalled", zones=len(wanted), error=str(error) or type(error).__name__)
            return
        self._unrecalled -= wanted
        for zone_id in wanted:
            if (zone := self._zones.get(zone_id)) is not None:
                zone.composition.want_full()  # an urgent word may have been told without it
                await self._tell(zone)

    async def _reconnected(self) -> None:
        for zone in self._zones.values():
            zone.composition.miss()
            zone.composition.want_full()
        self._unrecalled |= self._zones.keys()
        self._looked_at = float("-inf")

    def _takes_turn(self, zone: Zone) -> bool:
        now = turn(zone.composition.zone_id, zone.interval, self._clock.now().timestamp())
        due, zone.turn = zone.turn != now, now
        return due

    async def _hurry(self, zone: Zone) -> None:
        now = time.monotonic()
        wait = zone.urgent_at + URGENT_TOGETHER_S - now
        if wait <= 0:
            zone.urgent_at = now
            await self._tell(zone)
        else:
            self._tell_later(zone, wait, urgent=True)

    def _tell_later(self, zone: Zone, seconds: float, *, urgent: bool = False) -> None:
        at = asyncio.get_running_loop().time() + seconds
        if zone.waiting is not None:
            if zone.waiting_until <= at:
                return
            zone.waiting.cancel()  # an urgent word does not wait for a wish's turn

        def now() -> None:
            zone.waiting = None
            if urgent:
                zone.urgent_at = time.monotonic()
            task = asyncio.get_running_loop().create_task(self._tell_now(zone))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        zone.waiting, zone.waiting_until = asyncio.get_running_loop().call_later(seconds, now), at

    async def _tell_now(self, zone: Zone) -> None:
        try:
            await self._tell(zone)
        except UnavailableError as error:
            log.info("feed.not_told", zone_id=zone.composition.zone_id, reason=str(error))

    async def _tell(self, zone: Zone) -> None:
        """Publish what changed, or everything; in the trace of an urgent word, linked to the publishes it carries."""
        if self._leadership.term != self._term or not self._bus.connected:
            return
        await self._hearing.take_in_put_off(zone)
        traces, zone.traces = zone.traces, []
        urgent, zone.urgent_trace = zone.urgent_trace, None
        if urgent is not None:
            with tracing.continued(urgent, "compose npc-state", tracing.SpanKind.INTERNAL) as span:
                _link(span, traces)
                await self._publish(zone, tracing.current_traceparent())
        elif traces:
            with tracing.root("compose npc-state") as span:
                _link(span, traces)
                await self._publish(zone)
        else:
            await self._publish(zone)

    async def _publish(self, zone: Zone, traceparent: str | None = None) -> None:
        async with zone.telling:
            await self._publish_composed(zone, traceparent)

    async def _publish_composed(self, zone: Zone, traceparent: str | None) -> None:
        now = time.monotonic()
        composition = zone.composition
        composition.forget_unheard(now - self._forgotten_after)
        full = composition.wants_full(now, self._full_every)
        stale = zone.is_stale(now)
        self._told["stale"] += stale
        told = composition.compose(
            zone.next_number, now, self._clock.now(), full=full, stale=stale, traceparent=traceparent
        )
        for message in list(told):
            if self._leadership.term != self._term:  # the last moment to find out
                return
            zone.told_at = now
            await self._bus.publish(NPC_FEED.of(zone_id=composition.zone_id), message.body)
            MESSAGES.labels("full" if message.full else "delta").inc()
            BYTES.inc(len(message.body))
            self._told["messages"] += 1
            self._told["bytes"] += len(message.body)


def _last_heard(wish: bytes) -> int | None:
    try:
        return FeedWanted.model_validate_json(wish).seq
    except ValidationError:  # that it is wanted its subject says
        return None


def _link(span: Span, traceparents: list[str]) -> None:
    for traceparent in traceparents:
        parent = tracing.parse(traceparent)
        if parent is not None:
            span.add_link(parent.span_context)
