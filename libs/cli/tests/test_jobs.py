"""`p2p jobs` as a person uses it, on a suite of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import asyncpg
import httpx
import pytest
from cli.spans import in_words
from contracts.jobs import JobName
from testkit.eventually import eventually
from testkit.suites import running_suite

from libs.cli.tests.terminal import Terminal, p2p

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def suite():
    with running_suite() as running:
        yield running


@pytest.fixture(scope="module")
def jobs(suite):
    def command(*arguments):
        return p2p("jobs", "--nats", suite.nats, *arguments)

    return command


async def listed(jobs):
    """Wait until one leads."""

    def led():
        answer = json.loads(jobs("--json").out)
        return answer if answer["leader"] else None

    return await eventually(led, within=20, of="a leader")


async def test_programs_are_told_each_job_and_who_leads(jobs):
    answer = await listed(jobs)
    assert answer["leader"] == "scheduler-1"
    assert [job["name"] for job in answer["items"]] == list(JobName)


async def test_people_are_told_what_became_of_each_and_when_it_is_due_next(jobs):
    await listed(jobs)
    shown = jobs().out
    assert shown.splitlines()[0].split() == ["job", "every", "next", "due", "last", "run", "took", "outcome", "detail"]
    assert all(name in shown for name in JobName)
    assert "scheduler-1 leads" in shown


@pytest.mark.parametrize("name", list(JobName))
async def test_a_job_made_due_says_what_became_of_it(jobs, name):
    before = await listed(jobs)
    ran = jobs("run", name)
    assert (ran.code, ran.error) == (0, "")
    assert ran.out.startswith(f"{name} is done")

    def known():
        after = json.loads(jobs("--json").out)
        last, earlier = (next(job for job in of["items"] if job["name"] == name) for of in (after, before))
        return last["last_due_at"] != earlier["last_due_at"]

    await eventually(known, of="the run among the last runs")


async def test_one_need_not_wait(jobs):
    await listed(jobs)
    ran = jobs("run", "session-health", "--no-wait")
    assert (ran.code, ran.out) == (0, "session-health is due; `p2p jobs` shows how it went\n")


async def test_a_job_that_does_not_exist_is_answered_with_those_that_do(jobs):
    await listed(jobs)
    ran = jobs("run", "session-healht")
    assert ran.code != 0
    assert ran.error == (
        "error: there is no job 'session-healht'; did you mean session-health? "
        "All: session-health, session-cleanup, npc-feed\n"
    )


async def test_a_job_that_fails_says_so_everywhere_until_it_is_done_again(suite, jobs):
    await listed(jobs)
    database = await asyncpg.connect(suite.postgres("session_manager"))
    await database.execute("ALTER TABLE unwell_sessions RENAME TO mislaid")
    try:
        ran = jobs("run", "session-health")
        assert ran.code == 1
        assert ran.out.startswith("session-health is failed")
        await eventually(lambda: _failing(suite) == (["session-health"], True, True), of="the failure, in each place")
        assert "failed" in next(line for line in jobs().out.splitlines() if line.startswith("session-health"))
    finally:
        await database.execute("ALTER TABLE mislaid RENAME TO unwell_sessions")
        await database.close()
    assert jobs("run", "session-health").code == 0
    await eventually(lambda: _failing(suite) == ([], False, False), of="nothing but good runs")


def _failing(suite):
    """As the dashboard, Prometheus and the scheduler's readiness say."""
    gateway = suite.gateways[0]
    dashboard = httpx.get(f"{gateway}/api/v1/monitoring/dashboard").json()
    metrics = httpx.get(f"{gateway}/metrics").text
    ready = httpx.get(f"{suite.http('scheduler-1')}/health/ready")
    assert ready.status_code == 200
    noted = any(note.startswith("session-health failed at ") for note in ready.json()["notes"])
    return dashboard["jobs"]["failing"], 'p2p_job_failing{name="session-health"} 1.0' in metrics, noted


def test_people_may_watch_and_leave(suite):
    terminal = Terminal("jobs", "--watch", "--data-dir", suite.data_dir, width=100)
    terminal.until("session-cleanup")
    terminal.interrupt()
    assert terminal.ended() == 0


async def test_it_says_so_when_no_scheduler_answers(suite, jobs):
    async with suite.outage("scheduler-1"):
        for ran in (jobs(), jobs("run", "npc-feed")):
            assert ran.code != 0
            assert ran.error == "error: no scheduler answers; `p2p status` shows whether one runs\n"


async def test_it_says_so_when_nobody_does_the_job(suite, jobs):
    await listed(jobs)
    async with suite.outage("session_manager-1"):
        ran = jobs("run", "session-health")
    assert ran.code != 0
    assert ran.error.startswith("error: session-health is due, but nothing was heard of it")


def test_it_says_what_to_do_when_nothing_runs_there(tmp_path):
    for arguments in (("--data-dir", tmp_path), ("run", "npc-feed", "--data-dir", tmp_path)):
        ran = p2p("jobs", *arguments)
        assert ran.code != 0
        assert ran.error.startswith(f"error: nothing runs on {tmp_path}; start it with `")
        assert f"p2p up --data-dir {tmp_path}`" in ran.error


def test_a_wrong_address_is_said_soon():
    ran = p2p("jobs", "--nats", "nats://127.0.0.1:1")
    assert ran.code != 0
    assert "nats://127.0.0.1:1 cannot be reached" in ran.error.splitlines()[-1]


def test_the_shell_completes_the_names_of_jobs():
    asked = {"COMP_WORDS": "p2p jobs run session-", "COMP_CWORD": "3", "_P2P_COMPLETE": "complete_bash"}
    program = Path(sys.executable).with_name("p2p")
    completed = subprocess.run([program], env=os.environ | asked, capture_output=True, text=True, check=True)
    assert completed.stdout.split() == ["session-health", "session-cleanup"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-1, "0 ms"), (0.0123, "12.3 ms"), (5, "5 s"), (119, "119 s"), (120, "2 min"), (300, "5 min"), (7200, "2 h")],
)
def test_spans_are_said_in_one_unit(seconds, words):
    assert in_words(seconds) == words
