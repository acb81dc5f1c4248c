"""How the suite is: `/monitoring`, `/health` and `/metrics`."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, Literal

from chassis.bus import Bus
from chassis.health import Health
from chassis.redis import TracedRedis
from chassis.refusals import UnavailableError
from contracts.hosts import QualityDistribution
from contracts.refusals import Code, Refusal
from contracts.subjects import Message
from starlette.responses import PlainTextResponse

from signaling_gateway.http.framework.exchange import Answer, Answering, Request
from signaling_gateway.http.framework.openapi import beside_text
from signaling_gateway.http.framework.refusing import refused
from signaling_gateway.http.framework.routing import API, Route, refusals_at_the_door
from signaling_gateway.monitoring.cached import Cached
from signaling_gateway.monitoring.dashboard import Dashboard, SocketsSeen, compose
from signaling_gateway.monitoring.owner_totals import OwnerTotals, count
from signaling_gateway.monitoring.prometheus import totals_and_own
from signaling_gateway.monitoring.service_instances import ServiceInstances

SERVICE = "p2p-coordinator"

LOOK_EVERY = timedelta(seconds=1)
"""At most: the owners' work is the same for one reader and for a thousand."""


class HostStats(Message):
    """Hosts online, by score."""

    total_online: int
    quality_distribution: QualityDistribution


class Link(StrEnum):
    """How what the suite needs is, in the words that monitors look for."""

    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    UNKNOWN = "unknown"

    @classmethod
    def of(cls, there: bool | None) -> "Link":  # noqa: FBT001 -- it is the question
        if there is None:
            return cls.UNKNOWN
        return cls.CONNECTED if there else cls.DISCONNECTED


class Databases(Message):
    """The stores behind the suite."""

    postgres: Link
    redis: Link


class HealthReport(Message):
    """Whether all that the suite needs is there."""

    status: Literal["healthy", "unhealthy"]
    service: str
    version: str
    database: Databases
    nats: Link
    away: tuple[str, ...]
    """What is not there; empty when healthy."""


class Live(Message):
    """The event loop turns."""

    status: Literal["live"]


class Readiness(Message):
    """Whether requests may come here."""

    status: Literal["ready", "unready"]
    away: tuple[str, ...]
    notes: tuple[str, ...]
    """What is less than usual, and no reason to go elsewhere."""


@dataclass(frozen=True, slots=True)
class Look:
    """One look at the suite."""

    counts: OwnerTotals
    dashboard: bytes


class Monitoring:
    """Answers about the whole suite from one look a second, however many ask."""

    def __init__(
        self,
        *,
        bus: Bus,
        redis: TracedRedis,
        instances: ServiceInstances,
        health: Health,
        sockets: Callable[[], Awaitable[SocketsSeen]],
        version: str,
    ) -> None:
        self._bus = bus
        self._redis = redis
        self._instances = instances
        self._health = health
        self._sockets = sockets
        self._version = version
        self._look = Cached(self._take_a_look, LOOK_EVERY)

    def outdate(self) -> None:
        """What was written through this gateway shows in its next answer."""
        self._look.outdate()

    async def _take_a_look(self) -> Look:
        counts, sockets = await asyncio.gather(count(self._bus, self._redis), self._sockets())
        dashboard = compose(counts, self._instances.instances(), sockets)
        return Look(counts, dashboard.model_dump_json().encode())

    async def dashboard_now(self) -> bytes:
        """As JSON; the very same object for as long as it is the same look."""
        return (await self._look.get()).dashboard

    async def dashboard(self, _request: Request) -> Answer:
        look = await self._look.get()
        if look.counts.nothing_known:
            raise UnavailableError("Nothing is known of the suite: none of its services answers.")
        return Answer(look.dashboard)

    async def host_stats(self, _request: Request) -> Answer:
        hosts = (await self._look.get()).counts.hosts
        if hosts is None:
            raise UnavailableError("The hosts are not counted at the moment: host_registry does not answer.")
        stats = HostStats(total_online=hosts.online, quality_distribution=hosts.quality_distribution)
        return Answer(stats.model_dump_json().encode())

    async def metrics(self, request: Request) -> Answer:
        look = await self._look.get()
        accept = request.headers.get(b"accept", b"").decode("latin-1")
        counted, content_type = totals_and_own(look.counts, accept)
        return Answer(counted, content_type=content_type.encode())

    async def health(self, _request: Request) -> Answer:
        counts = (await self._look.get()).counts
        away = counts.away()
        report = HealthReport(
            status="unhealthy" if away else "healthy",
            service=SERVICE,
            version=self._version,
            database=Databases(postgres=Link.of(counts.postgres), redis=Link.of(counts.redis)),
            nats=Link.of(counts.nats),
            away=tuple(away),
        )
        if away:
            return refused(_away(away), beside=report.model_dump(mode="json"))
        return Answer(report.model_dump_json().encode())

    async def live(self, _request: Request) -> Answer:
        return Answer(b'{"status":"live"}')

    async def ready(self, _request: Request) -> Answer:
        away = await self._health.away()
        notes = tuple(self._health.notes())
        report = Readiness(status="unready" if away else "ready", away=tuple(away), notes=notes)
        if away:
            return refused(_away(away), beside=report.model_dump(mode="json"))
        return Answer(report.model_dump_json().encode())


def _away(names: Iterable[str]) -> Refusal:
    return Refusal(code=Code.UNAVAILABLE, detail=f"Away: {', '.join(names)}.", retry_after_s=1)


def monitoring_routes(monitoring: Monitoring) -> list[Route]:
    """Every route of this module, those without prefix too."""
    return [
        _route(f"{API}/monitoring/dashboard", monitoring.dashboard, "The whole suite on one page", answer=Dashboard),
        _route(f"{API}/monitoring/hosts/stats", monitoring.host_stats, "Hosts online, by score", answer=HostStats),
        _in_text(f"{API}/monitoring/metrics", monitoring.metrics, "Totals and counters for Prometheus"),
        _route(f"{API}/monitoring/health", monitoring.health, "Whether all is there", answer=HealthReport),
        _route("/health", monitoring.health, "Whether all is there", answer=HealthReport),
        _route("/health/live", monitoring.live, "Whether this process lives", answer=Live),
        _route("/health/ready", monitoring.ready, "Whether this gateway takes requests", answer=Readiness),
        _in_text("/metrics", monitoring.metrics, "Totals and counters for Prometheus"),
    ]


def _in_text(path: str, answering: Answering, summary: str) -> Route:
    refusals = beside_text([*refusals_at_the_door(f"GET {path}"), Code.UNAVAILABLE])
    return _route(path, answering, summary, response_class=PlainTextResponse, beside=refusals)


def _route(path: str, answering: Answering, summary: str, **about: Any) -> Route:
    return Route(
        "GET",
        path,
        answering,
        codes=(Code.UNAVAILABLE,),
        summary=summary,
        tag="monitoring",
        **about,
    )
