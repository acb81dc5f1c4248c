"""Beats as they come over NATS."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from chassis.own_absence import OwnAbsence
from chassis.refusals import UnavailableError
from contracts.hosts import HEARTBEAT
from contracts.identifiers import identifier
from host_registry.beat_intake import MOST_BYTES, BeatIntake, UnusableBeatError, decode
from host_registry.store.beats import Beat, Kept
from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import Client
from nats.aio.msg import Msg
from testkit.clock import ManualClock

from services.host_registry.tests.fakes import BeatsInMemory, Wastebasket

NOBODY = Client()


def message(subject: str, body: bytes = b"") -> Msg:
    return Msg(_client=NOBODY, subject=subject, data=body)


class Ear:
    """BeatIntake with a store and a wastebasket in hand."""

    def __init__(self, clock: ManualClock, *known: str) -> None:
        self.store = BeatsInMemory(*known)
        self.basket = Wastebasket()
        self.own_absence = OwnAbsence(clock, lambda: True)
        self.intake = BeatIntake(self.store, self.basket, self.own_absence, clock)

    @property
    def reasons(self) -> list[str]:
        return [dead.reason for dead in self.basket.dead]


async def test_however_many_beats_come_the_last_of_each_host_is_written_once_a_tick(clock: ManualClock) -> None:
    ear = Ear(clock, "host-1", "host-2")
    for latency in range(1000):
        await ear.intake.hear(message("p2p.heartbeat.host-1", b'{"latency_ms":%d}' % latency))
    await ear.intake.hear(message("p2p.heartbeat.host-2"))
    await ear.intake.keep()
    assert ear.store.batches == [[Beat("host-1", clock.now(), latency_ms=999.0), Beat("host-2", clock.now())]]


async def test_a_beat_counts_from_when_it_came_not_from_the_tick(clock: ManualClock) -> None:
    ear = Ear(clock, "host-1")
    came = clock.now()
    await ear.intake.hear(message("p2p.heartbeat.host-1"))
    clock.advance(timedelta(seconds=1))
    await ear.intake.keep()
    assert ear.store.batches[0][0].at == came


async def test_a_tick_without_beats_writes_nothing(clock: ManualClock) -> None:
    ear = Ear(clock)
    await ear.intake.keep()
    assert ear.store.batches == []


async def test_beats_of_an_outage_are_written_when_it_is_over_the_newest_of_each_host(clock: ManualClock) -> None:
    ear = Ear(clock, "host-1", "host-2")
    await ear.intake.hear(message("p2p.heartbeat.host-1", b'{"latency_ms":1}'))
    await ear.intake.hear(message("p2p.heartbeat.host-2", b'{"latency_ms":2}'))
    ear.store.away = True
    with pytest.raises(UnavailableError):
        await ear.intake.keep()
    await ear.intake.hear(message("p2p.heartbeat.host-1", b'{"latency_ms":3}'))
    ear.store.away = False
    await ear.intake.keep()
    assert {beat.host_id: beat.latency_ms for beat in ear.store.batches[0]} == {"host-1": 3.0, "host-2": 2.0}


async def test_an_outage_starts_every_deadline_anew(clock: ManualClock) -> None:
    ear = Ear(clock, "host-1")
    await ear.intake.hear(message("p2p.heartbeat.host-1"))
    ear.store.away = True
    now = clock.advance(timedelta(seconds=3))
    with pytest.raises(UnavailableError):
        await ear.intake.keep()
    assert ear.own_absence.since == now


@pytest.mark.parametrize(
    ("subject", "body", "reason"),
    [
        ("p2p.heartbeat.nobody", b"", "unknown_host"),
        ("p2p.heartbeat.host.1", b"", "bad_subject"),
        ("p2p.heartbeat.host%", b"", "bad_subject"),
        ("p2p.heartbeat.host%2d1", b"", "bad_subject"),
        ("p2p.heartbeat.host%2D1", b"", "bad_subject"),
        ("p2p.heartbeat.%00", b"", "bad_subject"),
        ("p2p.heartbeat.%FF", b"", "bad_subject"),
        ("p2p.heartbeat.host-1", b"[]", "bad_body"),
        ("p2p.heartbeat.host-1", b"null", "bad_body"),
        ("p2p.heartbeat.host-1", b"\xff", "bad_body"),
        ("p2p.heartbeat.host-1", b"{", "bad_body"),
        ("p2p.heartbeat.host-1", b'{"latency_ms":-1}', "bad_body"),
        ("p2p.heartbeat.host-1", b'{"latency_ms":NaN}', "bad_body"),
        ("p2p.heartbeat.host-1", b'{"packet_loss_percent":101}', "bad_body"),
        ("p2p.heartbeat.host-1", b'{"current_players":99999999999}', "bad_body"),
        ("p2p.heartbeat.host-1", b'{"host_id":"host-2"}', "other_host_in_body"),
        ("p2p.heartbeat.host-1", b" " * (MOST_BYTES + 1), "too_large"),
    ],
)
async def test_a_beat_that_cannot_be_used_is_put_aside_with_its_reason(
    clock: ManualClock, subject: str, body: bytes, reason: str
) -> None:
    ear = Ear(clock, "host-1")
    await ear.intake.hear(message(subject, body))
    await ear.intake.hear(message("p2p.heartbeat.host-2", b"{}"))
    ear.store.known.add("host-2")
    await ear.intake.keep()
    assert [(dead.subject, dead.reason) for dead in ear.basket.dead] == [(subject, reason)]
    assert "host-2" in {beat.host_id for beat in ear.store.batches[0]}


async def test_garbage_leaves_good_beats_alone(clock: ManualClock) -> None:
    ear = Ear(clock, "host-1")
    for number in range(1000):
        await ear.intake.hear(message(f"p2p.heartbeat.%{number}", b"\x00"))
    await ear.intake.hear(message("p2p.heartbeat.host-1", b'{"host_id":"host-1","latency_ms":5}'))
    await ear.intake.keep()
    assert [beat.host_id for beat in ear.store.batches[0]] == ["host-1"]


async def test_a_drain_that_cuts_a_tick_off_loses_no_beat(clock: ManualClock) -> None:
    ear = Ear(clock, "host-1")
    stuck = asyncio.Event()

    class Stuck(BeatsInMemory):
        async def keep(self, beats: Sequence[Beat], now: datetime | None = None) -> Kept:
            stuck.set()
            await asyncio.Event().wait()
            return await super().keep(beats, now)

    intake = BeatIntake(Stuck(), ear.basket, ear.own_absence, clock)
    await intake.hear(message("p2p.heartbeat.host-1"))
    tick = asyncio.create_task(intake.keep())
    await stuck.wait()
    tick.cancel()
    with pytest.raises(asyncio.CancelledError):
        await tick
    intake._keeper = ear.store
    await intake.keep()
    assert [beat.host_id for beat in ear.store.batches[0]] == ["host-1"]


@pytest.mark.parametrize("host_id", ["1@tower", "gef fild07", "a.b", "日本", "%41"])
def test_any_identifier_can_beat(host_id: str, clock: ManualClock) -> None:
    assert decode(HEARTBEAT.of(host_id=host_id), b"", clock.now()).host_id == identifier(host_id)


@given(st.text(min_size=1, max_size=60), st.binary(max_size=60))
def test_whatever_comes_is_a_beat_or_refused(token: str, body: bytes) -> None:
    clock = ManualClock()
    try:
        beat = decode(f"p2p.heartbeat.{token}", body, clock.now())
    except UnusableBeatError:
        return
    assert HEARTBEAT.of(host_id=beat.host_id) == f"p2p.heartbeat.{token}"
