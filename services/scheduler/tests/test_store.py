"""Last runs in PostgreSQL."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from importlib.resources import files

import pytest
from chassis.database import open_database
from chassis.ids import new_event_id
from contracts.jobs import JobFact, JobName, JobOutcome
from scheduler.store import Run, RunStore

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
HEALTH = JobName.SESSION_HEALTH


@pytest.fixture
async def runs(postgres_url: str) -> AsyncIterator[RunStore]:
    async with open_database(postgres_url, name="test", migrations=files("scheduler") / "migrations") as database:
        yield RunStore(database)


def fact(due_at: datetime, took: timedelta, outcome: JobOutcome = JobOutcome.DONE) -> JobFact:
    return JobFact(
        event_id=new_event_id(),
        occurred_at=due_at + took,
        revision=1,
        job=HEALTH,
        due_at=due_at,
        outcome=outcome,
        duration_ms=took.total_seconds() * 1000,
    )


async def test_a_job_that_never_ran_has_no_last_run(runs: RunStore):
    assert await runs.last() == {}


async def test_the_later_run_is_kept_in_whatever_order_they_are_told(runs: RunStore):
    earlier, later = fact(NOON, timedelta(seconds=40)), fact(NOON + timedelta(seconds=30), timedelta(seconds=1))
    await runs.keep(later)
    await runs.keep(earlier)
    assert await runs.last() == {
        HEALTH: Run(
            due_at=NOON + timedelta(seconds=30),
            finished_at=NOON + timedelta(seconds=31),
            outcome=JobOutcome.DONE,
            duration_ms=1000.0,
            detail=None,
        )
    }


async def test_of_two_runs_for_one_due_time_the_one_that_ended_last_is_kept(runs: RunStore):
    await runs.keep(fact(NOON, timedelta(seconds=1), JobOutcome.FAILED))
    await runs.keep(fact(NOON, timedelta(seconds=5), JobOutcome.DONE))
    assert (await runs.last())[HEALTH].outcome is JobOutcome.DONE


async def test_a_fact_told_twice_is_kept_once(runs: RunStore):
    run = fact(NOON, timedelta(seconds=1))
    await runs.keep(run)
    await runs.keep(run)
    assert len(await runs.last()) == 1


async def test_a_run_told_by_a_clock_an_hour_ahead_gives_way_to_the_next(runs: RunStore):
    now = datetime.now(UTC)
    await runs.keep(fact(now + timedelta(hours=1), timedelta(seconds=1)))
    await runs.keep(fact(now, timedelta(seconds=1)))
    assert (await runs.last())[HEALTH].due_at == now
