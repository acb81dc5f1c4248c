"""Whatever the curve of a host's quality, nobody is moved to and fro: the pure rule, look after look."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise, takewhile

from hypothesis import given, settings
from hypothesis import strategies as st
from session_manager.health import Bounds, Condition, Left, complaint, distrusts, lasts, times_left

from services.session_manager.tests.facts import NOON

BOUNDS = Bounds(max_latency_ms=100, most_loss_percent=10)
LOOK = timedelta(seconds=30)
BORNE = RETURN_AFTER = timedelta(seconds=60)
COUNTS_FOR = timedelta(seconds=90)
HOURS_2 = int(timedelta(hours=2) / LOOK)

MOST_MOVES = 7
"""In two hours: distrust doubles from a minute, so that 1 + 2 + 4 + 8 + 16 + 32 minutes have passed by the seventh."""

LEVELS = st.one_of(st.none(), st.floats(0, 400), st.sampled_from([0.0, 99.9, 100.0, 100.1, 1e9]))
"""A latency, or nobody reports; many about the bound, where flapping would be."""

CURVES = st.lists(st.tuples(LEVELS, st.sampled_from([1, 1, 2, 3, 8, 40])), max_size=30).map(
    lambda pieces: [level for level, looks in pieces for _ in range(looks)][:HOURS_2]
)


@dataclass
class Play:
    """One session and its one host, always able: what is decided at each look."""

    now: datetime = NOON
    on_host: bool = True
    told: tuple[float, datetime] | None = None
    unwell_since: datetime | None = None
    left: Left | None = None
    moves: list[tuple[str, datetime]] = field(default_factory=list)

    def look(self, latency_ms: float | None) -> None:
        if self.on_host and latency_ms is not None:
            self.told = latency_ms, self.now
        if self.on_host:
            self._judge()
        elif self.left is not None and not distrusts(self.left, self.now, RETURN_AFTER):
            self._move("return", on_host=True)
        self.now += LOOK

    def _judge(self) -> None:
        latency, told_at = self.told or (None, self.now)
        fresh = latency if self.now - told_at < COUNTS_FOR else None
        if complaint(Condition(players=1, latency_ms=fresh), BOUNDS) is None:
            self.unwell_since = None
            return
        self.unwell_since = self.unwell_since or told_at
        if lasts(self.unwell_since, told_at, BORNE):
            self.left = Left("host", times_left(self.left, self.now), self.now)
            self._move("leave", on_host=False)

    def _move(self, what: str, *, on_host: bool) -> None:
        self.on_host, self.told, self.unwell_since = on_host, None, None
        self.moves.append((what, self.now))


def played(curve: list[float | None]) -> Play:
    play = Play()
    for latency_ms in curve:
        play.look(latency_ms)
    return play


@settings(max_examples=1000, deadline=None)
@given(CURVES)
def test_nothing_flaps_over_any_curve(curve):
    play = played(curve)
    assert [what for what, _ in play.moves] == ["leave", "return"] * (len(play.moves) // 2) + ["leave"] * (
        len(play.moves) % 2
    )
    assert sum(what == "leave" for what, _ in play.moves) <= MOST_MOVES
    stays = [later - earlier for (_, earlier), (_, later) in pairwise([("begin", NOON), *play.moves])]
    assert all(stay >= BORNE for stay in stays)
    assert all(away > before for before, away in pairwise(stays[1::2]))


@settings(max_examples=200, deadline=None)
@given(CURVES)
def test_nobody_leaves_a_host_but_after_a_window_of_bad_reports_alone(curve):
    for what, at in played(curve).moves:
        if what == "leave":
            looks = range((at - NOON) // LOOK, -1, -1)
            since = takewhile(lambda look: curve[look] is None or curve[look] > BOUNDS.max_latency_ms, looks)
            bad = [look for look in since if curve[look] is not None]
            assert (bad[0] - bad[-1]) * LOOK >= BORNE


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(0, 100), min_size=1, max_size=3), st.floats(100.1, 1e9))
def test_one_bad_report_among_good_ones_moves_nobody(good, bad):
    assert played([*good, bad, *good] * 20).moves == []


@given(st.floats(100.1, 1e9))
def test_a_host_that_stays_bad_for_its_window_is_left(latency_ms):
    assert played([latency_ms] * 3).moves == [("leave", NOON + 2 * LOOK)]


@given(st.floats(0, 100))
def test_a_host_that_became_good_keeps_those_who_returned(latency_ms):
    play = played([500.0] * 3 + [latency_ms] * HOURS_2)
    assert [what for what, _ in play.moves] == ["leave", "return"]
