"""Beats that somebody waits for."""

import asyncio

import pytest
from chassis.refusals import UnavailableError
from host_registry.beat_keeping import BeatKeeping, fold
from host_registry.errors import HostNotFoundError
from host_registry.store.beats import Beat, Move
from testkit.clock import ManualClock

from services.host_registry.tests.fakes import Announced, BeatsInMemory


async def test_a_beat_is_answered_with_the_host_once_it_is_kept(clock: ManualClock) -> None:
    store = BeatsInMemory("host-1")
    async with BeatKeeping(store, Announced(), clock) as beats:
        answer = await beats.beat(Beat("host-1", clock.now(), latency_ms=10.0))
    assert answer == repr(store.batches[0][0]).encode()


async def test_a_beat_of_an_unknown_host_is_refused_and_the_others_of_its_round_are_kept(clock: ManualClock) -> None:
    store = BeatsInMemory("host-1")
    async with BeatKeeping(store, Announced(), clock) as beats:
        answers = await asyncio.gather(
            beats.beat(Beat("host-1", clock.now())), beats.beat(Beat("nobody", clock.now())), return_exceptions=True
        )
    assert isinstance(answers[0], bytes)
    assert isinstance(answers[1], HostNotFoundError)


async def test_two_beats_of_one_host_in_a_round_are_one_write(clock: ManualClock) -> None:
    store = BeatsInMemory("host-1")
    async with BeatKeeping(store, Announced(), clock) as beats:
        first, second = await asyncio.gather(
            beats.beat(Beat("host-1", clock.now(), latency_ms=10.0)),
            beats.beat(Beat("host-1", clock.now(), current_players=3)),
        )
    assert store.batches == [[Beat("host-1", clock.now(), latency_ms=10.0, current_players=3, asked=True)]]
    assert first == second


async def test_a_beat_that_could_not_be_kept_is_not_answered(clock: ManualClock) -> None:
    store = BeatsInMemory("host-1")
    store.away = True
    async with BeatKeeping(store, Announced(), clock) as beats:
        with pytest.raises(UnavailableError):
            await beats.beat(Beat("host-1", clock.now()))


async def test_scores_that_moved_are_told(clock: ManualClock) -> None:
    store, announced = BeatsInMemory("host-1"), Announced()
    store.moved = [Move("host-1", 80.0, 75.0)]
    async with BeatKeeping(store, announced, clock) as beats:
        await beats.beat(Beat("host-1", clock.now()))
    assert announced.moves == store.moved


def test_folding_keeps_what_only_the_earlier_beat_said(clock: ManualClock) -> None:
    earlier = Beat("host-1", clock.now(), latency_ms=10.0, current_players=1, asked=True)
    later = Beat("host-1", clock.now(), current_players=2)
    assert fold(earlier, later) == Beat("host-1", clock.now(), latency_ms=10.0, current_players=2, asked=True)
