"""The suite's totals as Prometheus wants them, under the names older dashboards read."""

from collections.abc import Iterator

from chassis.metrics import exposition
from contracts.jobs import JobOutcome
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from signaling_gateway.monitoring.owner_totals import OwnerTotals


class SuiteTotals(Collector):
    """Gives what `totals` knows; what nobody answered for is absent rather than zero."""

    def __init__(self, totals: OwnerTotals) -> None:
        self._totals = totals

    def collect(self) -> Iterator[Metric]:
        for name, about, value in self._values():
            if value is not None:
                yield GaugeMetricFamily(name, about, value=value)
        if self._totals.jobs is not None:
            failing = GaugeMetricFamily("p2p_job_failing", "1 for a job whose last run failed.", labels=["name"])
            for job in self._totals.jobs.items:
                failing.add_metric([job.name], job.last_outcome is JobOutcome.FAILED)
            yield failing

    def _values(self) -> Iterator[tuple[str, str, float | None]]:
        totals = self._totals
        yield "p2p_coordinator_up", "1 while this gateway answers.", 1
        if (hosts := totals.hosts) is not None:
            yield "p2p_hosts_total", "Hosts registered.", hosts.total
            yield "p2p_hosts_online", "Hosts online.", hosts.online
            yield "p2p_host_quality_score_avg", "Mean score of the hosts online.", hosts.average_quality_score
        if (zones := totals.zones) is not None:
            yield "p2p_zones_total", "Zones.", zones.total
            yield "p2p_zones_enabled", "Zones that take sessions.", zones.enabled
        if (sessions := totals.sessions) is not None:
            yield "p2p_sessions_total", "Sessions ever.", sessions.total
            yield "p2p_sessions_active", "Sessions neither ended nor failed.", sessions.active
            yield "p2p_players_total", "Players in live sessions.", sessions.total_players
            yield "p2p_session_latency_ms_avg", "Mean latency of live sessions.", sessions.average_latency_ms


def totals_and_own(totals: OwnerTotals, accept: str) -> tuple[bytes, str]:
    """The suite's totals, then what this process counts of itself; and their content type."""
    registry = CollectorRegistry()
    registry.register(SuiteTotals(totals))
    registry.register(REGISTRY)
    return exposition(accept, registry)
