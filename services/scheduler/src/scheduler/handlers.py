"""Who answers and hears what: subjects in, use case, reply."""

from chassis.bus import Bus
from chassis.events import Consumers
from chassis.responder import Responder
from contracts.jobs import JOB_DUE, LIST_JOBS, RUN_JOB, JobDue, JobFact, JobName, Jobs
from contracts.npcs import FEED_WANTED, LIST_FEEDS
from contracts.sessions import SESSION_CREATED, SESSION_ENDED, SESSION_FAILED, SessionFact
from contracts.streams import EVENTS
from contracts.subjects import Nothing
from contracts.zones import ZONE_CHANGED, ZoneFact
from nats.aio.msg import Msg
from prometheus_client import Histogram

from scheduler.dispatch import Dispatch
from scheduler.npc_feed.feed import Feed
from scheduler.npc_feed.played import PlayedZones
from scheduler.npc_feed.standing import Standings
from scheduler.overview import Overview
from scheduler.store import RunStore

RUN_SECONDS = Histogram("p2p_job_run_seconds", "Runs of jobs that are over, by outcome.", ["name", "outcome"])


def answer_jobs(responder: Responder, overview: Overview, dispatch: Dispatch, standings: Standings) -> None:
    async def list_jobs(_question: Nothing) -> Jobs:
        return await overview.jobs()

    responder.answer(LIST_JOBS, list_jobs)
    responder.answer(RUN_JOB, dispatch.run_now)
    responder.answer(LIST_FEEDS, standings.listed)


def hear_jobs(consumers: Consumers, runs: RunStore) -> None:
    async def over(fact: JobFact) -> None:
        await runs.keep(fact)
        RUN_SECONDS.labels(fact.job, fact.outcome).observe(fact.duration_ms / 1000)

    consumers.consume(EVENTS, "p2p.events.jobs.>", JobFact, over, name="jobs")


def hear_what_is_played(consumers: Consumers, played: PlayedZones) -> None:
    """Of sessions only their beginnings and ends: the many joins and leaves between change nothing here."""
    for name, subject in (("created", SESSION_CREATED), ("ended", SESSION_ENDED), ("failed", SESSION_FAILED)):
        consumers.consume(EVENTS, subject.wildcard, SessionFact, played.session_changed, name=f"session-{name}")
    consumers.consume(EVENTS, ZONE_CHANGED.wildcard, ZoneFact, played.zone_changed, name="zone-changed")


async def hear_wishes(bus: Bus, feed: Feed, dispatch: Dispatch) -> None:
    """What every scheduler hears and the leader acts upon."""

    async def made_due(msg: Msg) -> None:
        dispatch.manual(JobDue.model_validate_json(msg.data))

    await bus.subscribe(FEED_WANTED.wildcard, feed.wanted)
    await bus.subscribe(JOB_DUE.of(job=JobName.NPC_FEED), made_due)
