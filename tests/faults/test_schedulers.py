"""Schedulers killed and stopped at random: each due time takes effect once, and what was begun is finished."""

import asyncio
import json
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from math import ceil
from random import Random
from typing import NamedTuple

import asyncpg
import nats
import pytest
from contracts.jobs import JOB_DUE, RUN_JOB, JobDue, JobFact, JobName
from contracts.streams import EVENTS
from embedded.catalogue import SERVICES
from nats.aio.client import Client
from nats.js.errors import KeyNotFoundError
from testkit.eventually import eventually
from testkit.patience import patient
from testkit.suites import RunningSuite, running_suite

EVERY = timedelta(seconds=patient(1.1))
"""Twice as long as a takeover: the lease (0.3 s), a look at it (25 ms), and a round of the calendar (0.2 s)."""

DUE_TIMES = 200

MANY = 5
"""Blows of each kind: else a slow machine has made this test an easy one."""

SEED = 20261123
INVOLVED = tuple(service for service in SERVICES if service.name in {"scheduler", "session_manager"})
WORKED_ON = (JobName.SESSION_HEALTH, JobName.SESSION_CLEANUP)
"""The jobs that session_manager does; the third is the leader's own."""

QUICK = {
    "SCHEDULER_LEASE_S": str(patient(0.3)),
    "SCHEDULER_SESSION_HEALTH_EVERY_S": str(EVERY.total_seconds()),
    "SCHEDULER_SESSION_CLEANUP_EVERY_S": str(EVERY.total_seconds()),
    "SCHEDULER_NPC_FEED_EVERY_S": str(EVERY.total_seconds()),
}
SELDOM = {"SCHEDULER_SESSION_CLEANUP_EVERY_S": str(timedelta(days=1).total_seconds())}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

REDELIVERED_WITHIN_S = 45.0
"""A tick whose worker died is given to the next one after 30 s."""


@pytest.fixture(scope="module")
def suite() -> Iterator[RunningSuite]:
    """Two schedulers, the service that does the work, and a calendar in which much is due."""
    with running_suite({"scheduler": 2}, QUICK, INVOLVED) as running:
        yield running


@pytest.fixture
async def client(suite: RunningSuite) -> AsyncIterator[Client]:
    client = await nats.connect(suite.nats)
    yield client
    await client.close()


class Leader(NamedTuple):
    name: str
    term: int
    """The revision of the bucket with which it took the lease: what it wrote since has higher ones."""


async def _leader(client: Client) -> Leader | None:
    """Read it where it is kept: a scheduler that is stopped answers nobody."""
    keys = await client.jetstream(timeout=patient(5)).key_value("scheduler")
    entry = await keys.get("lease")
    lease = json.loads(entry.value or b"{}")
    return Leader(lease["holder"], lease["term"] or int(entry.revision or 0)) if lease.get("holder") else None


async def _settled(client: Client) -> Leader:
    """Give the leader; not before it has ticked every job since it took over."""
    leader = await _leader(client)
    assert leader is not None, "nobody leads"
    keys = await client.jetstream(timeout=patient(5)).key_value("scheduler")
    for job in JobName:
        try:
            entry = await keys.get(f"ticked.{job}")
        except KeyNotFoundError:
            raise AssertionError(f"{job} was never ticked") from None
        assert (entry.revision or 0) > leader.term, f"{job} was not ticked by {leader}"
    return leader


async def _facts(client: Client, since: datetime) -> list[JobFact]:
    """What was told of all runs since, as the stream has it."""
    subscription = await client.jetstream(timeout=patient(5)).subscribe(
        "p2p.events.jobs.>", stream=EVENTS.name, ordered_consumer=True
    )
    told = (await client.jetstream(timeout=patient(5)).stream_info(EVENTS.name)).state.messages
    try:
        facts = [
            JobFact.model_validate_json((await subscription.next_msg(timeout=patient(5))).data) for _ in range(told)
        ]
    finally:
        await subscription.unsubscribe()
    return [fact for fact in facts if fact.due_at >= since]


async def _runs(suite: RunningSuite, since: datetime) -> list[asyncpg.Record]:
    """What the service that does the work noted, in the order of its notes."""
    database = await asyncpg.connect(suite.postgres("session_manager"))
    try:
        return await database.fetch(
            "SELECT job, due_at, fence FROM job_runs WHERE due_at >= $1 ORDER BY job, revision", since
        )
    finally:
        await database.close()


def _due_between(begin: datetime, end: datetime) -> list[datetime]:
    first = (begin - EPOCH) // EVERY + 1
    return [EPOCH + EVERY * n for n in range(first, (end - EPOCH) // EVERY + 1)]


class Storm:
    """Blows against the leader, one after the other, drawn from a seed; its sleeps are the moments of the blows.

    A leader is struck once it has ticked every job: two takeovers in a row may last until the next due time comes, and
    the one before it is gone then, as it should be.
    """

    def __init__(self, suite: RunningSuite, client: Client) -> None:
        self._suite = suite
        self._client = client
        self._random = Random(SEED)
        self.blows: Counter[str] = Counter()

    async def rage(self, until: datetime) -> None:
        while datetime.now(UTC) < until:
            settled = await eventually(lambda: _settled(self._client), within=10, of="a leader that ticked")
            await asyncio.sleep(self._random.uniform(0, EVERY.total_seconds()))
            if await _leader(self._client) != settled:  # a slow machine let the lease lapse
                continue
            blow = self._random.choice((self._kill, self._stop))
            self.blows[blow.__name__] += 1
            await blow(settled.name)

    async def _kill(self, leader: str) -> None:
        await self._suite.kill(leader)

    async def _stop(self, leader: str) -> None:
        self._suite.send(leader, signal.SIGSTOP)
        await asyncio.sleep(self._random.uniform(0.05, patient(2.5)))
        self._suite.send(leader, signal.SIGCONT)


@pytest.mark.time_limit(150)
async def test_each_of_200_due_times_takes_effect_once_whatever_happens_to_the_leader(
    suite: RunningSuite, client: Client
) -> None:
    await eventually(lambda: _leader(client), of="a leader")
    begin = datetime.now(UTC) + EVERY
    end = begin + EVERY * ceil(DUE_TIMES / len(JobName))
    storm = Storm(suite, client)
    await storm.rage(until=end)
    expected = {(job, due_at) for job in JobName for due_at in _due_between(begin, end)}
    assert len(expected) >= DUE_TIMES

    async def none_missing() -> bool:
        missing = expected - {(fact.job, fact.due_at) for fact in await _facts(client, begin)}
        assert not missing, f"{len(missing)} took no effect, such as {min(missing)}; {storm.blows}"
        return True

    await eventually(none_missing, within=5, of="the effect of each due time")
    facts, runs = await _facts(client, begin), await _runs(suite, begin)
    times = Counter((fact.job, fact.due_at) for fact in facts)
    assert [time for time, count in times.items() if count > 1] == [], "told twice"
    assert {time for time in expected if time[0] in WORKED_ON} <= {(run["job"], run["due_at"]) for run in runs}
    _check_fences([(fact.job, fact.revision) for fact in facts if fact.job is JobName.NPC_FEED])
    _check_fences([(run["job"], run["fence"]) for run in runs])
    assert min(storm.blows["_kill"], storm.blows["_stop"]) >= MANY, storm.blows


def _check_fences(effects: list[tuple[str, int]]) -> None:
    for job in {job for job, _ in effects}:
        fences = [fence for of, fence in effects if of == job]
        assert fences == sorted(fences), f"a deposed leader had an effect: {job}"
        assert len(set(fences)) > 1, "leaders followed one another"


async def test_a_leader_that_wakes_up_has_no_effect(suite: RunningSuite, client: Client) -> None:
    asleep = await eventually(lambda: _settled(client), within=10, of="a leader that ticked")
    began = datetime.now(UTC)
    suite.send(asleep.name, signal.SIGSTOP)

    async def successor() -> int | None:
        fences = {run["job"]: int(run["fence"]) for run in await _runs(suite, began) if run["fence"] > asleep.term}
        return min(fences.values()) if fences.keys() == set(WORKED_ON) else None

    new = await eventually(successor, within=10, of="a run of each job under the successor")
    suite.send(asleep.name, signal.SIGCONT)
    woken = datetime.now(UTC)
    # What it was about to send when it was stopped, and the stream gets now: due times nobody else has told.
    forgotten = [JobDue(job=job, due_at=began - timedelta(milliseconds=1), fence=asleep.term) for job in WORKED_ON]
    for due in forgotten:
        await client.jetstream(timeout=patient(5)).publish(JOB_DUE.of(job=due.job), due.model_dump_json().encode())
    await eventually(lambda: _enough(suite, woken), within=10, of="runs after it woke up")

    runs = await _runs(suite, began - EVERY)
    assert not {due.due_at for due in forgotten} & {run["due_at"] for run in runs}
    assert min(run["fence"] for run in runs if run["due_at"] >= woken) >= new


async def _enough(suite: RunningSuite, since: datetime) -> bool:
    return len(await _runs(suite, since)) >= 3 * len(WORKED_ON)


async def test_a_job_whose_worker_was_killed_is_finished_by_the_next() -> None:
    with running_suite(environment=SELDOM, services=INVOLVED) as suite:
        client = await nats.connect(suite.nats)
        # A calendar's tick would take the place of the one that is to be lost and found: let the first ones be over,
        # and no other come.
        await eventually(lambda: _all_ran(suite), within=10, of="the first run of each job")
        database = await asyncpg.connect(suite.postgres("session_manager"))
        async with database.transaction():
            # The work is done, and is about to be noted.
            await database.execute("LOCK job_runs IN SHARE ROW EXCLUSIVE MODE")
            answer = await client.request(RUN_JOB.subject, b'{"job": "session-cleanup"}', timeout=patient(5))
            due = JobDue.model_validate_json(answer.data)
            await eventually(lambda: _waits_for_lock(database), of="the worker at its note")
            await suite.kill("session_manager-1")

        async def told() -> list[JobFact]:
            return [fact for fact in await _facts(client, due.due_at) if fact.due_at == due.due_at]

        assert await told() == []
        assert len(await eventually(told, within=REDELIVERED_WITHIN_S, of="the run of the killed worker's tick")) == 1
        await database.close()
        await client.close()


async def _all_ran(suite: RunningSuite) -> bool:
    return {run["job"] for run in await _runs(suite, EPOCH)} == set(WORKED_ON)


async def _waits_for_lock(database: asyncpg.Connection) -> bool:
    return bool(await database.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))
