"""What scheduler answers and announces: work that is due by the calendar, and how it went."""

from enum import StrEnum

from pydantic import AwareDatetime

from contracts.refusals import Code
from contracts.subjects import Fact, Message, Nothing, Rpc, Subject
from contracts.values import Text


class JobName(StrEnum):
    """The jobs of the calendar."""

    SESSION_HEALTH = "session-health"
    SESSION_CLEANUP = "session-cleanup"
    NPC_FEED = "npc-feed"


class JobDue(Message):
    """A job's time has come; the same due time is told at least once and must take effect once."""

    job: JobName
    due_at: AwareDatetime
    fence: int
    """Revision of the leader's lease; a tick with a lower one than already seen comes from a deposed leader."""
    manual: bool = False


class JobOutcome(StrEnum):
    """How a run ended."""

    DONE = "done"
    FAILED = "failed"


class JobFact(Fact):
    """A run of a job is over; told by the service that did the work."""

    job: JobName
    due_at: AwareDatetime
    outcome: JobOutcome
    duration_ms: float
    detail: str | None = None


class Job(Message):
    """A job of the calendar and its last run."""

    name: JobName
    interval_s: float
    next_due_at: AwareDatetime | None
    last_due_at: AwareDatetime | None
    last_finished_at: AwareDatetime | None
    last_outcome: JobOutcome | None
    last_duration_ms: float | None
    last_detail: str | None


class Jobs(Message):
    """All jobs, and who leads."""

    leader: str | None
    items: tuple[Job, ...]


class RunJob(Message):
    """Make a job due now, beside its calendar."""

    job: Text


LIST_JOBS = Rpc("p2p.jobs.list", Nothing, Jobs, frozenset())
RUN_JOB = Rpc("p2p.jobs.run", RunJob, JobDue, frozenset({Code.JOB_NOT_FOUND}))

JOB_DUE = Subject("p2p.jobs.{job}.due", JobDue)
JOB_DONE = Subject("p2p.events.jobs.{job}.done", JobFact)
JOB_FAILED = Subject("p2p.events.jobs.{job}.failed", JobFact)
