"""The JetStream streams: which subjects each keeps, and for how long."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class Stream:
    """A stream's name and settings; declared in one place, by chassis."""

    name: str
    subjects: tuple[str, ...]
    max_age: timedelta | None = None
    max_per_subject: int = -1
    work_queue: bool = False
    by_subject: bool = False
    """The last message of a subject is read at once, by whoever names it; without a consumer."""
    duplicate_window: timedelta = timedelta(minutes=2)
    """How long a `Nats-Msg-Id` is remembered; longer than a publisher's back-off in an outage."""


EVENTS = Stream(
    "EVENTS",
    tuple(f"p2p.events.{owner}.>" for owner in ("hosts", "zones", "sessions", "gateway", "jobs")),
    max_age=timedelta(days=7),
)
AUDIT = Stream("AUDIT", ("p2p.events.audit.>",), max_age=timedelta(days=30))
JOBS = Stream("JOBS", ("p2p.jobs.*.due",), max_age=timedelta(minutes=5), max_per_subject=1, work_queue=True)
"""One message per job, the newest: an outage is not replayed."""
NPC = Stream("NPC", ("p2p.npc.*.*", "p2p.environment.*"), max_age=timedelta(minutes=10), max_per_subject=1)
DEAD_LETTERS = Stream("DLQ", ("p2p.dlq.>",), max_age=timedelta(days=30))
CHECKPOINTS = Stream("CHECKPOINTS", ("p2p.checkpoints.*.*",), max_per_subject=1, by_subject=True)
"""What hosts keep of their sessions, in pieces: `p2p.checkpoints.<object>.<number of the piece>`.

Which object is a session's is a row of session_manager's, which also has those removed that are nobody's any more.
"""

ALL = (EVENTS, AUDIT, JOBS, NPC, DEAD_LETTERS, CHECKPOINTS)
