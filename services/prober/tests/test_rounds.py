"""Rounds: who is due is taken while there is room, probed side by side, and told; whatever else goes away."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from operator import contains
from typing import ClassVar

import pytest
from chassis.bus import Bus
from chassis.loops import running
from chassis.refusals import ServiceError
from chassis.responder import Responder
from contracts.probes import REPORT_PROBE, TAKE_PROBES, ProbeDue, ProbesTaken, ReportProbe, TakeProbes
from contracts.refusals import Code
from contracts.subjects import Nothing
from prober.errors import NotProbedError, NotReachedError
from prober.loops import looking
from prober.measuring import Figures, Miss
from prober.rounds import Rounds
from testkit.clock import ManualClock
from testkit.eventually import eventually
from testkit.servers import TestServer


class GoneError(ServiceError):
    code: ClassVar[Code] = Code.HOST_NOT_FOUND


class Registry:
    """Gives each host that is due once, and keeps what it is told."""

    def __init__(self) -> None:
        self.due: list[ProbeDue] = []
        self.asked: list[TakeProbes] = []
        self.reports: list[ReportProbe] = []
        self.deleted: set[str] = set()

    async def take(self, question: TakeProbes) -> ProbesTaken:
        self.asked.append(question)
        taken, self.due = self.due[: question.limit], self.due[question.limit :]
        return ProbesTaken(items=tuple(taken))

    async def report(self, report: ReportProbe) -> Nothing:
        if report.host_id in self.deleted:
            raise GoneError(report.host_id)
        self.reports.append(report)
        return Nothing()


class Way:
    """Hosts that end their probes when the test says how."""

    def __init__(self) -> None:
        self.under_way: dict[str, asyncio.Future[tuple[Figures, float | None]]] = {}
        self.most = 0

    async def measure(self, due: ProbeDue) -> tuple[Figures, float | None]:
        future = self.under_way[due.host_id] = asyncio.get_running_loop().create_future()
        self.most = max(self.most, len(self.under_way))
        try:
            return await future
        finally:
            del self.under_way[due.host_id]


FIGURES = Figures(round_trip_ms=20.0, jitter_ms=1.5, packet_loss_percent=5.0)


def due(*names: str, upload: bool = False) -> list[ProbeDue]:
    return [ProbeDue(host_id=name, peer_id=name, upload=upload) for name in names]


@pytest.fixture
def way() -> Way:
    return Way()


@pytest.fixture
async def registry(bus: Bus) -> AsyncIterator[Registry]:
    registry = Registry()
    responder = Responder(bus, "host_registry", "0.1.0", instance="registry-1")
    responder.answer(TAKE_PROBES, registry.take)
    responder.answer(REPORT_PROBE, registry.report)
    async with responder:
        yield registry


@pytest.fixture
def rounds(bus: Bus, way: Way, clock: ManualClock) -> Rounds:
    return Rounds(bus, way, clock, prober="prober-1", at_once=2)


@pytest.fixture
async def looked(registry: Registry, rounds: Rounds) -> AsyncIterator[None]:
    async with rounds, running(looking(rounds, timedelta(milliseconds=20))):
        yield


@pytest.mark.usefixtures("looked")
async def test_what_a_probe_found_is_told(registry, way, clock):
    registry.due = due("good", upload=True)
    await eventually(lambda: "good" in way.under_way)
    way.under_way["good"].set_result((FIGURES, 42.0))
    (report,) = await eventually(lambda: registry.reports)
    assert report == ReportProbe(
        host_id="good",
        prober="prober-1",
        probed_at=clock.now(),
        reached=True,
        round_trip_ms=20.0,
        jitter_ms=1.5,
        packet_loss_percent=5.0,
        upload_mbps=42.0,
    )


@pytest.mark.usefixtures("looked")
async def test_a_host_that_was_missed_is_told_as_such_without_figures(registry, way, clock):
    registry.due = due("silent")
    await eventually(lambda: "silent" in way.under_way)
    way.under_way["silent"].set_exception(NotReachedError(Miss.UNANSWERED))
    (report,) = await eventually(lambda: registry.reports)
    assert report == ReportProbe(host_id="silent", prober="prober-1", probed_at=clock.now(), reached=False)


@pytest.mark.usefixtures("looked")
async def test_no_more_are_taken_than_there_is_room_for(registry, way):
    registry.due = due("a", "b", "c", "d", "e")
    for name in ("a", "b", "c", "d", "e"):
        await eventually(partial(contains, way.under_way, name))
        way.under_way[name].set_result((FIGURES, None))
    await eventually(lambda: len(registry.reports) == 5)
    assert way.most == 2
    assert max(asked.limit for asked in registry.asked) == 2


@pytest.mark.usefixtures("looked")
@pytest.mark.parametrize("error", [NotProbedError("no address"), RuntimeError("a defect"), AssertionError()])
async def test_what_goes_wrong_on_our_side_is_not_told_and_the_next_is_probed(registry, way, error):
    registry.due = due("unlucky", "next")
    await eventually(lambda: len(way.under_way) == 2)
    way.under_way["unlucky"].set_exception(error)
    await eventually(lambda: "unlucky" not in way.under_way)
    way.under_way["next"].set_result((FIGURES, None))
    (report,) = await eventually(lambda: registry.reports)
    assert report.host_id == "next"


@pytest.mark.usefixtures("looked")
async def test_a_host_deleted_meanwhile_is_nobodys_trouble(registry, way):
    registry.deleted = {"deleted"}
    registry.due = due("deleted", "next")
    await eventually(lambda: len(way.under_way) == 2)
    way.under_way["deleted"].set_result((FIGURES, None))
    await eventually(lambda: "deleted" not in way.under_way)
    way.under_way["next"].set_result((FIGURES, None))
    (report,) = await eventually(lambda: registry.reports)
    assert report.host_id == "next"


@pytest.mark.usefixtures("looked")
async def test_rounds_go_on_when_nats_is_back(registry, way, nats_server: TestServer, bus):
    await eventually(lambda: registry.asked)
    await nats_server.stop()
    await eventually(lambda: not bus.connected)
    registry.due = due("later")
    await nats_server.start()
    await eventually(lambda: "later" in way.under_way, within=10)
    way.under_way["later"].set_result((FIGURES, None))
    assert await eventually(lambda: registry.reports)


async def test_without_a_registry_a_round_begins_nothing_and_is_no_failure(rounds, way):
    async with rounds:
        await rounds.begin()
    assert way.most == 0


async def test_probes_under_way_are_finished_at_the_end(registry, rounds, way):
    registry.due = due("last")
    async with rounds:
        await rounds.begin()
        await eventually(lambda: "last" in way.under_way)
        asyncio.get_running_loop().call_soon(way.under_way["last"].set_result, (FIGURES, None))
    assert [report.host_id for report in registry.reports] == ["last"]


async def test_a_probe_that_goes_on_for_long_is_broken_off_at_the_end_and_not_told(registry, rounds, way, monkeypatch):
    monkeypatch.setattr("prober.rounds.DRAIN", timedelta(milliseconds=50))
    registry.due = due("slow")
    async with rounds:
        await rounds.begin()
        await eventually(lambda: "slow" in way.under_way)
    assert way.under_way == {}
    assert registry.reports == []
