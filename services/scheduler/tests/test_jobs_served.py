"""scheduler as others meet it: over NATS, with PostgreSQL behind it."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from chassis.bus import Bus
from chassis.ids import new_event_id
from chassis.jetstream import publish
from chassis.refusals import RefusedError
from chassis.requests import call
from contracts import jobs, npcs
from contracts.jobs import (
    JOB_DONE,
    JOB_FAILED,
    LIST_JOBS,
    RUN_JOB,
    Job,
    JobDue,
    JobFact,
    JobName,
    JobOutcome,
    RunJob,
)
from contracts.refusals import Code
from contracts.subjects import Nothing, Rpc
from scheduler.app import service
from scheduler.settings import Settings
from testkit.eventually import eventually
from testkit.patience import patient

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
HEALTH = JobName.SESSION_HEALTH


@pytest.fixture
def settings(nats_url: str, postgres_url: str) -> Settings:
    return Settings(instance="scheduler-1", nats_url=nats_url, postgres_url=postgres_url)


@pytest.fixture
async def scheduler(bus: Bus, settings: Settings) -> AsyncIterator[None]:
    async with service(settings):
        yield


async def leads(bus: Bus) -> bool:
    return (await call(bus, LIST_JOBS, Nothing())).leader is not None


async def job(bus: Bus, name: JobName) -> Job:
    listed = await call(bus, LIST_JOBS, Nothing())
    (found,) = (job for job in listed.items if job.name is name)
    return found


async def tell(bus: Bus, due_at: datetime, outcome: JobOutcome, detail: str | None = None) -> None:
    fact = JobFact(
        event_id=new_event_id(),
        occurred_at=due_at + timedelta(seconds=1),
        revision=1,
        job=HEALTH,
        due_at=due_at,
        outcome=outcome,
        duration_ms=12.5,
        detail=detail,
    )
    subject = (JOB_DONE if outcome is JobOutcome.DONE else JOB_FAILED).of(job=HEALTH)
    await publish(bus, subject, fact.model_dump_json().encode(), message_id=fact.event_id)


@pytest.mark.usefixtures("scheduler")
async def test_jobs_are_listed_with_interval_next_due_time_and_leader(bus: Bus):
    await eventually(lambda: leads(bus))
    listed = await call(bus, LIST_JOBS, Nothing())
    assert listed.leader == "scheduler-1"
    assert [(job.name, job.interval_s) for job in listed.items] == [
        (HEALTH, 30.0),
        (JobName.SESSION_CLEANUP, 300.0),
        (JobName.NPC_FEED, 5.0),
    ]
    assert all(job.next_due_at is not None and job.next_due_at > datetime.now(UTC) for job in listed.items)


@pytest.mark.usefixtures("scheduler")
async def test_a_new_leader_tells_what_is_due_now(ticks: list[JobDue]):
    await eventually(
        lambda: {due.job for due in ticks} == set(JobName) - {JobName.NPC_FEED}
    )  # that one the leader does itself
    assert not any(due.manual for due in ticks)


@pytest.mark.usefixtures("scheduler")
async def test_a_job_can_be_made_due_by_hand(bus: Bus, ticks: list[JobDue]):
    await eventually(lambda: leads(bus))
    due = await call(bus, RUN_JOB, RunJob(job="session-cleanup"))
    assert due.manual
    await eventually(lambda: due in ticks)


@pytest.mark.usefixtures("scheduler")
async def test_a_job_that_is_not_in_the_calendar_cannot_be_made_due(bus: Bus):
    with pytest.raises(RefusedError) as refused:
        await call(bus, RUN_JOB, RunJob(job="session-healt"))
    assert refused.value.refusal.code is Code.JOB_NOT_FOUND
    assert refused.value.refusal.fields["jobs"] == ["session-health", "session-cleanup", "npc-feed"]


@pytest.mark.usefixtures("scheduler")
async def test_the_last_run_is_known_from_what_the_worker_told(bus: Bus):
    await tell(bus, NOON, JobOutcome.FAILED, "the database was away")

    async def heard() -> bool:
        return (await job(bus, HEALTH)).last_outcome is not None

    await eventually(heard)
    run = await job(bus, HEALTH)
    assert (run.last_due_at, run.last_finished_at) == (NOON, NOON + timedelta(seconds=1))
    assert (run.last_outcome, run.last_duration_ms) == (JobOutcome.FAILED, 12.5)
    assert run.last_detail == "the database was away"


async def test_runs_outlive_a_restart(bus: Bus, settings: Settings):
    async with service(settings):
        await tell(bus, NOON, JobOutcome.DONE)

        async def heard() -> bool:
            return (await job(bus, HEALTH)).last_outcome is JobOutcome.DONE

        await eventually(heard)
    async with service(settings):
        assert (await job(bus, HEALTH)).last_due_at == NOON


@pytest.mark.usefixtures("scheduler")
async def test_it_serves_exactly_what_its_contract_publishes(bus: Bus):
    described = json.loads((await bus.request("$SRV.INFO.scheduler", b"", timeout_s=patient(5))).data)
    ours = (*vars(jobs).values(), *vars(npcs).values())
    published = [rpc.subject for rpc in ours if isinstance(rpc, Rpc)]
    assert sorted(endpoint["subject"] for endpoint in described["endpoints"]) == sorted(published)
