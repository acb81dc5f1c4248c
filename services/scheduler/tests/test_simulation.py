"""A thousand worlds in which everything goes wrong that may, and each due time takes effect once."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta

import pytest
from contracts.jobs import JobName
from scheduler.calendar import last_due, next_due
from structlog.testing import capture_logs

from services.scheduler.tests.fakes import NOON
from services.scheduler.tests.virtual import CALENDAR, LEASE, TICK_EVERY_S, Calm, World

SEEDS = 1000
AT_ONCE = 100

SKEW_S = LEASE.total_seconds() / 6 / 2
"""Two clocks differ by no more than the part of a lease in which its holder is quiet."""

WRONG_BY_S = 8.0

TAKEOVER_S = 10.0
"""The last messages of trouble arrive (3 s), the lease they renewed runs out (3 s), one takes it (0.3 s); a publish
nobody answers holds up a loop for 5 s meanwhile."""

TOLD_WITHIN_S = TICK_EVERY_S + SKEW_S + 0.5


def _due_in(calm: Calm) -> Iterator[tuple[JobName, float]]:
    """The due times, in seconds, that somebody had long enough to tell before the next one came."""
    for job, interval in CALENDAR.items():
        every = interval.total_seconds()
        due = last_due(interval, NOON + timedelta(seconds=calm.begin)) - NOON
        while due.total_seconds() + TOLD_WITHIN_S < calm.end:
            told_from = max(due.total_seconds(), calm.begin + TAKEOVER_S)
            if told_from + TOLD_WITHIN_S < min(due.total_seconds() + every, calm.end):
                yield job, due.total_seconds()
            due = next_due(interval, NOON + due) - NOON


def _live(world: World) -> None:
    random = world.random
    for _ in range(2):
        world.rage(random.uniform(5, 20))
        world.rest(TAKEOVER_S + random.uniform(2, 8))


def _check_once(world: World) -> None:
    times = Counter((effect.job, effect.due_at) for effect in world.servers.ledger.effects)
    assert max(times.values()) == 1, "a due time took effect twice"
    facts = world.servers.facts
    assert len(set(facts)) == len(facts), "a job of the leader's own was told twice"


def _check_succession(world: World) -> None:
    for job in CALENDAR:
        fences = [effect.fence for effect in world.servers.ledger.effects if effect.job is job]
        assert fences == sorted(fences), f"a deposed leader had an effect after its successor: {job}"


def _check_none_missing(world: World) -> None:
    for job, seconds in (due for calm in world.calms for due in _due_in(calm)):
        due_at = NOON + timedelta(seconds=seconds)
        assert world.servers.ledger.has(job, due_at), f"{job} at {seconds} s took no effect"


def _try(seed: int, skew_s: float, *checks: Callable[[World], None]) -> None:
    with capture_logs(), closing(World(seed, schedulers=1 + seed % 3, skew_s=skew_s)) as world:
        try:
            _live(world)
            for check in checks:
                check(world)
        except AssertionError as broken:
            pytest.fail(f"seed {seed}: {broken}")


@pytest.mark.parametrize("first", range(0, SEEDS, AT_ONCE))
def test_whatever_goes_wrong_each_due_time_takes_effect_once(first: int):
    for seed in range(first, first + AT_ONCE):
        _try(seed, SKEW_S, _check_once, _check_succession, _check_none_missing)


def test_clocks_that_are_wrong_by_more_than_an_interval_make_nothing_run_twice():
    for seed in range(AT_ONCE):
        _try(seed, WRONG_BY_S, _check_once)


@pytest.mark.parametrize("hours", [1, -1])
def test_a_leader_s_clock_that_jumps_an_hour_and_is_put_right_costs_no_later_due_time(hours: int):
    for seed in range(AT_ONCE):
        with capture_logs(), closing(World(seed, schedulers=2, skew_s=0)) as world:
            world.rest(TAKEOVER_S)
            for skew in (timedelta(hours=hours), timedelta(0)):
                for leader in world.leaders:
                    leader.skew = skew
                world.rest(TAKEOVER_S + seed % 7)
            for process in world.processes:
                process.skew = timedelta(0)
            world.calms.clear()
            world.rest(2 * TAKEOVER_S + 5)
            _check_once(world)
            _check_none_missing(world)
