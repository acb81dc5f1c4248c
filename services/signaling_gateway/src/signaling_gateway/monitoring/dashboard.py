"""The dashboard: every part as its owner counts it, a part that nobody answers for says so."""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from contracts.jobs import JobName, JobOutcome, Jobs
from contracts.npcs import FeedPage, FeedStanding, FeedTotals
from contracts.subjects import Message
from pydantic import AwareDatetime

from signaling_gateway.monitoring.owner_totals import OwnerTotals


class HealthStatus(StrEnum):
    """How a thing stands that the suite depends on."""

    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    UNKNOWN = "unknown"

    @classmethod
    def of(cls, there: bool | None) -> "HealthStatus":  # noqa: FBT001 -- it is the question
        if there is None:
            return cls.UNKNOWN
        return cls.HEALTHY if there else cls.UNHEALTHY


OwnersPart = TypeVar("OwnersPart", bound="Part")


class Part(Message):
    """One owner's part."""

    known: bool
    """False: the owner did not answer, and what stands here is null."""


class HostsPart(Part):
    """Hosts, as host_registry counts them."""

    total: int | None = None
    online: int | None = None
    offline: int | None = None
    average_quality_score: float | None = None
    """Of the hosts online."""


class ZonesPart(Part):
    """Zones, as zone_manager counts them."""

    total: int | None = None
    enabled: int | None = None
    disabled: int | None = None


class SessionsPart(Part):
    """Sessions, as session_manager counts them."""

    total: int | None = None
    active: int | None = None
    """Neither ended nor failed."""
    inactive: int | None = None
    total_players: int | None = None
    """In live sessions now."""
    average_latency_ms: float | None = None
    """Of live sessions that have reported one."""


class SystemPart(Message):
    """What stands behind the services, and which of them are there."""

    postgres: HealthStatus
    """As the services that use it find it."""
    redis: HealthStatus
    nats: HealthStatus
    services: Mapping[str, int]
    """How many instances of each answered lately."""


class SignalingPart(Message):
    """The WebSockets."""

    active_connections: int
    active_sessions: int
    """Sessions and rooms with a socket."""


class JoinsPart(Message):
    """How entering came out, as far as players report it."""

    begun: int
    direct: int
    relayed: int
    failed: int
    p50_ms: int | None
    """Half of the connections were made within this time."""
    p95_ms: int | None


class SocketsSeen(Message):
    """What the WebSocket half tells of itself."""

    signaling: SignalingPart
    joins: JoinsPart


class FeedPart(Part):
    """The feed of NPC state, as the job that tells it reports."""

    last_reported_at: AwareDatetime | None = None
    """None: it has not been told yet."""
    outcome: JobOutcome | None = None
    detail: str | None = None
    """How many zones, NPCs, messages and bytes, in words."""
    totals: FeedTotals | None = None
    """None: nobody leads, or the leader did not answer."""
    zones: tuple[FeedStanding, ...] = ()
    """At most 50, those that stand worst."""


class JobPart(Message):
    """A job of the calendar."""

    name: JobName
    next_due_at: AwareDatetime | None
    last_finished_at: AwareDatetime | None
    """None: it has not run yet."""
    outcome: JobOutcome | None
    duration_ms: float | None
    detail: str | None


class JobsPart(Part):
    """The calendar, as the scheduler tells it."""

    leader: str | None = None
    """The scheduler that leads; null: nothing becomes due."""
    failing: tuple[JobName, ...] = ()
    """Whose last run failed."""
    items: tuple[JobPart, ...] = ()


class Dashboard(Message):
    """The whole suite on one page."""

    hosts: HostsPart
    zones: ZonesPart
    sessions: SessionsPart
    system: SystemPart
    signaling: SignalingPart
    joins: JoinsPart
    npc_feed: FeedPart
    jobs: JobsPart


def compose(totals: OwnerTotals, services: Mapping[str, int], sockets: SocketsSeen) -> Dashboard:
    """Put the parts together."""
    return Dashboard(
        hosts=_part(HostsPart, totals.hosts),
        zones=_part(ZonesPart, totals.zones),
        sessions=_part(SessionsPart, totals.sessions),
        system=SystemPart(
            postgres=HealthStatus.of(totals.postgres),
            redis=HealthStatus.of(totals.redis),
            nats=HealthStatus.of(totals.nats),
            services=services,
        ),
        signaling=sockets.signaling,
        joins=sockets.joins,
        npc_feed=_feed(totals.jobs, totals.feeds),
        jobs=_jobs(totals.jobs),
    )


def _feed(jobs: Jobs | None, feeds: FeedPage | None) -> FeedPart:
    feed = next((job for job in jobs.items if job.name is JobName.NPC_FEED), None) if jobs is not None else None
    if feed is None:
        return FeedPart(known=False)
    return FeedPart(
        known=True,
        last_reported_at=feed.last_finished_at,
        outcome=feed.last_outcome,
        detail=feed.last_detail,
        totals=feeds.totals if feeds is not None else None,
        zones=feeds.items if feeds is not None else (),
    )


def _jobs(jobs: Jobs | None) -> JobsPart:
    if jobs is None:
        return JobsPart(known=False)
    items = tuple(
        JobPart(
            name=job.name,
            next_due_at=job.next_due_at,
            last_finished_at=job.last_finished_at,
            outcome=job.last_outcome,
            duration_ms=job.last_duration_ms,
            detail=job.last_detail,
        )
        for job in jobs.items
    )
    failing = tuple(job.name for job in items if job.outcome is JobOutcome.FAILED)
    return JobsPart(known=True, leader=jobs.leader, failing=failing, items=items)


def _part(part: type[OwnersPart], total: Message | None) -> OwnersPart:
    if total is None:
        return part(known=False)
    return part.model_validate({"known": True, **total.model_dump()})
