"""Whatever is lost on the way, whoever hears of a zone ends with the same state as a reader of every message.

The composer, the gateway's fold and the host's own, as they are; between them a NATS that loses messages, sockets that
break, hosts that come late or sleep, gateways that start anew and leaders that follow one another.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from unittest.mock import patch

from contracts.npcs import Environment, NpcFeed, NpcState
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scheduler.npc_feed import composition
from scheduler.npc_feed.cadence import first_number
from scheduler.npc_feed.composition import ZoneComposition
from sdk import feed as sdk_feed
from sdk.feed import ZoneFeed
from signaling_gateway.npcs import fold
from signaling_gateway.npcs.fold import Fold

ZONE = "prontera"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
NPCS = 4
A_FEW_NPCS_BYTES = 120
"""Of one message, so that a full state and many a delta take several."""

FULL_EVERY = 12
"""Turns after which everything is told to whoever does not know that something is missing."""


@contextmanager
def short_messages() -> Iterator[None]:
    with (
        patch.object(composition, "MESSAGE_BYTES", A_FEW_NPCS_BYTES),
        patch.object(fold, "PART_BYTES", A_FEW_NPCS_BYTES),
        patch.object(sdk_feed, "PART_BYTES", A_FEW_NPCS_BYTES),
    ):
        yield


class AiWorld:
    """What AI servers said last, as the stream keeps it."""

    def __init__(self) -> None:
        self.npcs: dict[str, NpcState] = {}
        self.environment: Environment | None = None


class Leader:
    """Composes under its term; begins with what the stream keeps."""

    def __init__(self, world: AiWorld, term: int) -> None:
        self._composition = ZoneComposition(ZONE, None)
        self._numbers = count(first_number(term))
        self._now = 0.0
        for state in world.npcs.values():
            self._composition.recall(state, self._now)
        if world.environment is not None:
            self._composition.recall_environment(world.environment)

    def hear(self, said: NpcState | Environment) -> None:
        if isinstance(said, NpcState):
            self._composition.hear(said, self._now)
        else:
            self._composition.hear_environment(said, self._now)

    def wanted(self) -> None:
        self._composition.want_full()

    def turn(self) -> list[bytes]:
        self._now += 1
        full = self._composition.wants_full(self._now, FULL_EVERY)
        told = self._composition.compose(lambda: next(self._numbers), self._now, NOON, full=full, stale=False)
        return [message.body for message in told]


@dataclass
class Socket:
    """A host and its connection to the gateway."""

    feed: ZoneFeed = field(default_factory=lambda: ZoneFeed(ZONE))
    connected: bool = False
    subscribed: bool = False
    asleep: bool = False
    misses_next: bool = False
    unread: list[bytes] = field(default_factory=list)

    def write(self, body: bytes) -> None:
        if self.misses_next:
            self.misses_next = False
        elif self.connected:
            self.unread.append(body)

    def read(self) -> bool:
        """Take in what came; True where it now wants everything, and would say so."""
        if self.asleep:
            return False
        unread, self.unread = self.unread, []
        wants = False
        for body in unread:
            knew = not self.feed.wanting
            took = self.feed.hear(NpcFeed.model_validate_json(body))
            wants |= knew and not took and self.feed.wanting
        return wants

    def lose(self) -> None:
        self.connected = self.subscribed = False
        self.unread.clear()


class Gateway:
    """Passes on what is next, and asks for everything when something is missing."""

    def __init__(self, sockets: list[Socket]) -> None:
        self.fold = Fold()
        self._sockets = sockets

    def subscribe(self, socket: Socket) -> None:
        socket.subscribed = True
        for body in self.fold.whole():
            socket.write(body)

    def hear(self, body: bytes) -> None:
        if self.fold.hear(body):
            for socket in self._sockets:
                if socket.subscribed:
                    socket.write(body)


class Suite:
    """The whole way, with a reader that misses nothing beside it."""

    def __init__(self) -> None:
        self.world = AiWorld()
        self.terms = count(1)
        self.leader = Leader(self.world, next(self.terms))
        self.hosts = [Socket(), Socket()]
        self.gateway = Gateway(self.hosts)
        self.reader = ZoneFeed(ZONE)

    def say(self, npc: int, x: int) -> None:
        state = NpcState(npc_id=f"npc-{npc}", name="n" * 20, x=x)
        self.world.npcs[state.npc_id] = state
        self.leader.hear(state)

    def remove(self, npc: int) -> None:
        state = NpcState(npc_id=f"npc-{npc}", removed=True)
        self.world.npcs[state.npc_id] = state
        self.leader.hear(state)

    def weather(self, weather: str) -> None:
        self.world.environment = Environment(weather=weather)
        self.leader.hear(self.world.environment)

    def turn(self, lost: list[bool]) -> None:
        """The leader tells; of its messages those marked do not reach the gateway."""
        for number, body in enumerate(self.leader.turn()):
            self.reader.hear(NpcFeed.model_validate_json(body))
            if not lost[number % len(lost)]:
                self.gateway.hear(body)
        if not lost[-1]:  # a wish may be lost too
            self.gateway_asks()
        self._hosts_read()

    def gateway_asks(self) -> None:
        if self.gateway.fold.wants_full:
            self.leader.wanted()

    def succession(self) -> None:
        self.leader = Leader(self.world, next(self.terms))

    def gateway_starts_anew(self) -> None:
        for host in self.hosts:
            host.lose()
        self.gateway = Gateway(self.hosts)

    def gateway_forgets(self) -> None:
        """NATS was away."""
        self.gateway.fold.forget()

    def connect(self, which: int) -> None:
        """Come, or come back: the host is told of its session, and asks for the zone anew."""
        host = self.hosts[which]
        if host.connected:
            host.lose()
        host.connected = True
        host.feed.wanting = True
        self.gateway.subscribe(host)
        self.gateway_asks()
        self._hosts_read()

    def miss(self, which: int) -> None:
        """The next message does not reach the host, whatever is between it and the gateway."""
        self.hosts[which].misses_next = True

    def lose(self, which: int) -> None:
        self.hosts[which].lose()

    def sleep(self, which: int) -> None:
        self.hosts[which].asleep = True

    def wake(self, which: int) -> None:
        self.hosts[which].asleep = False
        self._hosts_read()

    def calm_down(self) -> None:
        """Nothing is lost any more; everybody does what they do by the clock."""
        for which, host in enumerate(self.hosts):
            host.asleep = host.misses_next = False
            if not host.connected:
                self.connect(which)
        for _ in range(3):  # the first may be what tells that something is missing
            self.turn([False])
        for host in self.hosts:
            if host.feed.wanting:  # Feeding asks again as long as it does
                self.gateway.subscribe(host)
        self._hosts_read()

    def _hosts_read(self) -> None:
        for host in self.hosts:
            while host.connected and host.read():
                self.gateway.subscribe(host)


HOSTS = st.integers(0, 1)
SAYS = st.one_of(
    st.tuples(st.just("say"), st.integers(0, NPCS - 1), st.integers(0, 9)),
    st.tuples(st.just("remove"), st.integers(0, NPCS - 1)),
    st.tuples(st.just("weather"), st.sampled_from(["rain", "sun"])),
)
TURNS = st.tuples(st.just("turn"), st.just([False]) | st.lists(st.booleans(), min_size=1, max_size=4))
MISHAPS = st.one_of(
    st.tuples(st.sampled_from(["miss", "sleep", "wake"]), HOSTS),
    st.tuples(st.sampled_from(["connect", "lose"]), HOSTS),
    st.tuples(st.sampled_from(["succession", "gateway_starts_anew", "gateway_forgets"])),
)
ACTS = st.lists(st.one_of(SAYS, SAYS, SAYS, TURNS, TURNS, MISHAPS), min_size=5, max_size=50)
"""Much is said, more is told than goes wrong: else everything would be told as a whole each time."""


def after(acts: list[tuple[object, ...]]) -> Suite:
    """One host is there from the beginning, one comes late."""
    suite = Suite()
    suite.connect(0)
    suite.turn([False])
    for act, *arguments in acts:
        getattr(suite, str(act))(*arguments)
    return suite


def as_told(feed: ZoneFeed) -> tuple[object, ...]:
    """All that a reader knows, but for what was told of it when."""
    messages = [NpcFeed.model_validate_json(text) for text in feed.whole()]
    return messages[-1].seq, messages[0].environment, messages[0].stale, dict(feed.npcs)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ACTS)
def test_whoever_missed_something_ends_with_the_same_state_as_a_reader_of_every_message(acts: list[tuple[object, ...]]):
    with short_messages():
        suite = after(acts)
        suite.calm_down()
        known = as_told(suite.reader)
        assert [as_told(host.feed) for host in suite.hosts] == [known, known]
        there = {npc_id: state.x for npc_id, state in suite.world.npcs.items() if not state.removed}
        assert {npc_id: npc.x for npc_id, npc in suite.reader.npcs.items()} == there


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ACTS)
def test_who_does_not_know_that_something_is_missing_has_everything_within_a_minute(acts: list[tuple[object, ...]]):
    """Losses of which nobody could say anything, since nothing came after: the periodic full state mends them."""
    with short_messages():
        suite = after(acts)
        for which in range(len(suite.hosts)):
            suite.wake(which)
            suite.hosts[which].misses_next = False
            suite.connect(which)
        for _ in range(FULL_EVERY + 1):
            suite.turn([False])
        known = as_told(suite.reader)
        assert [as_told(host.feed) for host in suite.hosts] == [known, known]
