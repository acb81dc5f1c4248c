"""Who answers and hears what: subjects in, use case, reply."""

from chassis.events import Consumers
from chassis.responder import Responder
from contracts.jobs import LIST_JOBS, RUN_JOB, JobFact, Jobs
from contracts.streams import EVENTS
from contracts.subjects import Nothing

from scheduler.dispatch import Dispatch
from scheduler.overview import Overview
from scheduler.store import RunStore


def answer_jobs(responder: Responder, overview: Overview, dispatch: Dispatch) -> None:
    async def list_jobs(_question: Nothing) -> Jobs:
        return await overview.jobs()

    responder.answer(LIST_JOBS, list_jobs)
    responder.answer(RUN_JOB, dispatch.run_now)


def hear_jobs(consumers: Consumers, runs: RunStore) -> None:
    consumers.consume(EVENTS, "p2p.events.jobs.>", JobFact, runs.keep, name="jobs")
