"""Dead letters of beats: enough to see what is wrong, never a flood."""

import json
from datetime import timedelta

from host_registry.dead_beats import LETTERS_A_WHILE, WHILE, DeadBeat, DeadBeats
from testkit.clock import ManualClock

from services.host_registry.tests.fakes import Announced

GARBAGE = DeadBeat("p2p.heartbeat.nobody", b"{}", "unknown_host")


async def test_a_beat_that_cannot_be_used_is_kept_with_its_subject_and_reason(clock: ManualClock) -> None:
    announced = Announced()
    await DeadBeats(announced, clock).put([GARBAGE])
    assert announced.letters == [("p2p.dlq.heartbeat", b"{}", "p2p.heartbeat.nobody", "unknown_host")]


async def test_a_flood_leaves_a_few_letters(clock: ManualClock) -> None:
    announced = Announced()
    dead_beats = DeadBeats(announced, clock)
    for _ in range(20):
        await dead_beats.put([GARBAGE] * 1000)
    assert len(announced.letters) == LETTERS_A_WHILE


async def test_what_went_untold_is_counted_when_the_while_is_over(clock: ManualClock) -> None:
    announced = Announced()
    dead_beats = DeadBeats(announced, clock)
    await dead_beats.put([GARBAGE] * 1000)
    clock.advance(WHILE)
    await dead_beats.put([])
    subject, body, about, reason = announced.letters[-1]
    assert (subject, about, reason) == ("p2p.dlq.heartbeat", "p2p.heartbeat.>", "many")
    assert json.loads(body) == {"untold": {"unknown_host": 1000 - LETTERS_A_WHILE}}


async def test_a_new_while_has_room_for_letters_again(clock: ManualClock) -> None:
    announced = Announced()
    dead_beats = DeadBeats(announced, clock)
    await dead_beats.put([GARBAGE] * LETTERS_A_WHILE)
    clock.advance(WHILE + timedelta(seconds=1))
    await dead_beats.put([GARBAGE])
    assert len(announced.letters) == LETTERS_A_WHILE + 1
