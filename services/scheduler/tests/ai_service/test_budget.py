"""The limit is kept in every minute, whoever asks, whatever their clocks say, and though they die half-way."""

from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scheduler.ai_service.allowance import KEY, Allowance
from scheduler.ai_service.budget import ANSWERED_WITHIN_S, COUNTS_FOR_S, MINUTE_S, counting, pace, read, written
from scheduler.bucket import ABSENT
from testkit.thoroughness import examples

from services.scheduler.tests.fakes import BucketInMemory, VirtualTime

LIMIT = 5


def run(work: Coroutine[Any, Any, float | None], steps: int = 1000) -> float | None:
    """Run it to its end, or leave it lying after some steps as a killed process does."""
    try:
        for _ in range(steps):
            work.send(None)
    except StopIteration as end:
        return end.value
    work.close()
    return None


@dataclass
class World:
    """Schedulers on one bucket, each with a clock that began at another time; what they asked arrives later."""

    time: VirtualTime = field(default_factory=VirtualTime)
    bucket: BucketInMemory = field(default_factory=BucketInMemory)
    allowances: dict[int, Allowance] = field(default_factory=dict)
    arrivals: list[float] = field(default_factory=list)

    def ask(self, scheduler: int, steps: int, pause: float, way: float) -> None:
        """Reserve, be stopped for a while, and ask if there is still time."""
        allowance = self.allowances.setdefault(scheduler, self._allowance(scheduler))
        until = run(allowance.reserve(), steps)
        if until is None:
            return
        asks_at = self.time.seconds + pause
        if asks_at + _offset(scheduler) < until:
            self.arrivals.append(asks_at + way)

    def restart(self, scheduler: int) -> None:
        self.allowances.pop(scheduler, None)

    def most_in_a_minute(self) -> int:
        moments = sorted(self.arrivals)
        return max((sum(0 <= other - moment < MINUTE_S for other in moments) for moment in moments), default=0)

    def _allowance(self, scheduler: int) -> Allowance:
        return Allowance(self.bucket, LIMIT, lambda: self.time.seconds + _offset(scheduler))


def _offset(scheduler: int) -> float:
    return scheduler * 987_654.5


SCHEDULERS = st.integers(0, 2)
STEPS = st.one_of(st.just(1000), st.integers(1, 6))
ASK = st.tuples(SCHEDULERS, STEPS, st.floats(0, 2), st.floats(0, ANSWERED_WITHIN_S))
EVENTS = st.one_of(ASK, ASK, ASK, SCHEDULERS, st.floats(0, 90))


@given(st.lists(EVENTS, max_size=120))
@settings(max_examples=examples(100))
def test_no_minute_ever_has_more_requests_than_the_limit(events: list[Any]):
    world = World()
    for event in events:
        match event:
            case (scheduler, steps, pause, way):
                world.ask(scheduler, steps, pause, way)
            case int():
                world.restart(event)
            case float():
                world.time.seconds += event
    assert world.most_in_a_minute() <= LIMIT


def test_all_of_it_can_be_used_and_comes_back_when_it_no_longer_counts():
    world = World()
    for _ in range(LIMIT + 3):
        world.ask(0, 1000, 0, 0)
    assert len(world.arrivals) == LIMIT
    world.time.seconds += COUNTS_FOR_S
    for _ in range(LIMIT + 3):
        world.ask(0, 1000, 0, 0)
    assert len(world.arrivals) == 2 * LIMIT


def test_a_successor_has_what_its_predecessor_left():
    world = World()
    for _ in range(3):
        world.ask(0, 1000, 0, 0)
    for _ in range(LIMIT):
        world.ask(1, 1000, 0, 0)
    assert len(world.arrivals) == LIMIT


def test_an_answer_of_the_bucket_that_was_lost_spends_no_more_than_one():
    world = World()
    world.ask(0, 4, 0, 0)  # it dies before it hears that the reservation was written
    assert world.bucket.entries
    for _ in range(LIMIT):
        world.ask(1, 1000, 0, 0)
    assert len(world.arrivals) == LIMIT - 1


def test_a_record_deleted_by_hand_is_made_again_from_what_its_writer_knows():
    world = World()
    for _ in range(LIMIT):
        world.ask(0, 1000, 0, 0)
    del world.bucket.entries[KEY]
    for _ in range(2 * LIMIT):
        world.ask(0, 1000, 0, 0)
    assert len(world.arrivals) == LIMIT


@pytest.mark.parametrize("value", [b"", b"null", b'{"ages": ["new"]}', b'{"ages": [NaN]}', b"\xff"])
def test_a_record_that_was_not_written_by_us_counts_as_all_spent(value: bytes):
    world = World()
    run(world.bucket.put(KEY, value, after=ABSENT))
    world.ask(0, 1000, 0, 0)
    assert world.arrivals == []


def test_what_is_read_is_never_older_than_it_was():
    reserved = (100.0004, 101.9996)
    assert all(
        taken >= moment for taken, moment in zip(read(written(reserved, 102.0), 102.0, 5), reserved, strict=True)
    )


@pytest.mark.parametrize("age, counts", [(0, True), (COUNTS_FOR_S - 0.1, True), (COUNTS_FOR_S, False)])
def test_a_reservation_counts_for_as_long_as_the_service_may_count_it(age: float, counts: bool):
    assert (counting((1000.0,), 1000.0 + age) == (1000.0,)) is counts


def test_requests_spread_evenly_keep_the_limit():
    assert pace(64) == 1.0
