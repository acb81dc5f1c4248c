"""Hosts that are due, probed side by side up to a bound, and what was found told to the registry."""

import asyncio
import time
from datetime import timedelta
from types import TracebackType
from typing import Protocol, Self

import structlog
from chassis import tracing
from chassis.bus import Bus
from chassis.clock import Clock
from chassis.refusals import DeadlineExceededError, RefusedError, UnavailableError
from chassis.requests import call
from contracts.probes import REPORT_PROBE, TAKE_PROBES, ProbeDue, ReportProbe, TakeProbes
from prometheus_client import Counter, Histogram

from prober.errors import NotProbedError, NotReachedError
from prober.measuring import Figures

log = structlog.stdlib.get_logger()

DRAIN = timedelta(seconds=5)
"""Most probes end within two; the registry gives a host whose probe was broken off to somebody else after a minute."""

PROBES = Counter("p2p_probes", "Probes of hosts, by how they came out.", ["outcome"])
PROBE_SECONDS = Histogram("p2p_probe_seconds", "How long a probe took.", buckets=(0.5, 1, 1.5, 2, 3, 5, 8, 12, 20))
UPLOADS = Counter("p2p_probe_uploads", "Uploads that were due, by whether a figure came of it.", ["outcome"])


class Way(Protocol):
    """How hosts are reached."""

    async def measure(self, due: ProbeDue) -> tuple[Figures, float | None]:
        """Give figures and Mbit/s of upload; NotReachedError or NotProbedError otherwise."""


class Rounds:
    """Probes under way from `async with` until that ends; then those of them that end soon are finished."""

    def __init__(self, bus: Bus, way: Way, clock: Clock, *, prober: str, at_once: int) -> None:
        self._bus = bus
        self._way = way
        self._clock = clock
        self._prober = prober
        self._at_once = at_once
        self._under_way: set[asyncio.Task[None]] = set()
        self._taking = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=DRAIN.total_seconds())
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def begin(self) -> None:
        """Take a host that is due for each free place, and begin to probe it; without a registry, none."""
        free = self._at_once - len(self._under_way)
        if not (free and self._bus.connected):
            return
        try:
            taken = await call(self._bus, TAKE_PROBES, TakeProbes(prober=self._prober, limit=free))
        except (UnavailableError, DeadlineExceededError, RefusedError) as error:
            self._say(taking=False, why=error.refusal.detail)
            return
        self._say(taking=True)
        for due in taken.items:
            task = asyncio.create_task(self._probe(due), name=f"probe {due.host_id}")
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _probe(self, due: ProbeDue) -> None:
        began_at = time.perf_counter()
        try:
            with tracing.root("probe host") as span:
                outcome = await self._measure(due)
                span.set_attributes({"p2p.host_id": due.host_id, "p2p.outcome": outcome})
        except (NotProbedError, UnavailableError) as error:
            log.warning("probe.not_made", host_id=due.host_id, reason=str(error))
            outcome = "not_made"
        except Exception:
            # The outermost edge of a task: aiortc has an exception for every way in which a host can be strange.
            log.exception("probe.failed", host_id=due.host_id)
            outcome = "failed"
        PROBES.labels(outcome).inc()
        PROBE_SECONDS.observe(time.perf_counter() - began_at)

    async def _measure(self, due: ProbeDue) -> str:
        try:
            figures, upload_mbps = await self._way.measure(due)
        except NotReachedError as error:
            log.info("probe.missed", host_id=due.host_id, how=error.miss.value)
            await self._tell(self._report(due, reached=False))
            return error.miss.value
        if due.upload:
            UPLOADS.labels("measured" if upload_mbps is not None else "left_out").inc()
        await self._tell(
            self._report(due, reached=True).model_copy(
                update={
                    "round_trip_ms": figures.round_trip_ms,
                    "jitter_ms": figures.jitter_ms,
                    "packet_loss_percent": figures.packet_loss_percent,
                    "upload_mbps": upload_mbps,
                }
            )
        )
        return "reached"

    def _report(self, due: ProbeDue, *, reached: bool) -> ReportProbe:
        return ReportProbe(host_id=due.host_id, prober=self._prober, probed_at=self._clock.now(), reached=reached)

    async def _tell(self, report: ReportProbe) -> None:
        try:
            await call(self._bus, REPORT_PROBE, report)
        except (UnavailableError, DeadlineExceededError, RefusedError) as error:
            # Deleted meanwhile, or probed again in a minute.
            log.warning("probe.not_told", host_id=report.host_id, reason=error.refusal.detail)

    def _say(self, *, taking: bool, why: str = "") -> None:
        """Say that the registry went or came, not that it is still away."""
        if taking is not self._taking:
            self._taking = taking
            log.warning("probes.taken_again" if taking else "probes.not_taken", reason=why)
