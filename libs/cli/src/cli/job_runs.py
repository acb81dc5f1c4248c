"""A job made due over NATS, and what becomes of it."""

import asyncio
import sys
from collections.abc import AsyncIterator
from difflib import get_close_matches

from contracts.jobs import JOB_DONE, JOB_FAILED, RUN_JOB, JobDue, JobFact, JobName, RunJob
from contracts.refusals import Code
from sdk import RefusedError
from sdk.facts import Event, facts

from cli.answers import ANSWER_WITHIN
from cli.asking import answered, linked
from cli.entrance import Entrance

OUTCOME_WITHIN_S = 10.0


def make_due(entrance: Entrance, name: str, *, wait: bool) -> tuple[JobDue, JobFact | None]:
    """Make a job due; with `wait`, give what became of it, or None when nothing was heard in time."""
    return answered(_make_due(entrance, name, wait=wait))


async def _make_due(entrance: Entrance, name: str, *, wait: bool) -> tuple[JobDue, JobFact | None]:
    async with linked(entrance) as link, facts(link, (JOB_DONE, JOB_FAILED), None) as events:
        try:
            due = await link.ask(RUN_JOB, RunJob(job=name), ANSWER_WITHIN)
        except RefusedError as error:
            if error.code is Code.JOB_NOT_FOUND:
                sys.exit(f"error: {_no_such_job(error)}")
            raise
        return due, await _outcome(due, events) if wait else None


async def _outcome(due: JobDue, events: AsyncIterator[Event[JobFact]]) -> JobFact | None:
    """A later due time counts too: the stream keeps one tick per job, so it may have taken the place of this one."""
    try:
        async with asyncio.timeout(OUTCOME_WITHIN_S):
            async for event in events:
                if event.fact.job is due.job and event.fact.due_at >= due.due_at:
                    return event.fact
    except TimeoutError:
        pass
    return None


def _no_such_job(error: RefusedError) -> str:
    known, name = error.refusal.fields.get("jobs"), str(error.refusal.fields.get("job"))
    names = [str(one) for one in known] if isinstance(known, list) else list(JobName)
    nearest = get_close_matches(name, names, n=1, cutoff=0)[0]
    return f"there is no job {name!r}; did you mean {nearest}? All: {', '.join(names)}"
