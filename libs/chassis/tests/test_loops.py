"""Periodic work goes on."""

import asyncio
from datetime import timedelta

from chassis.loops import Loop, every, running
from structlog.testing import capture_logs
from testkit.eventually import eventually

OFTEN = timedelta(milliseconds=1)


async def test_one_bad_round_is_logged_and_the_next_comes():
    rounds: list[int] = []

    async def work() -> None:
        rounds.append(len(rounds))
        if len(rounds) == 2:
            raise KeyError("a bad round")

    with capture_logs() as logs:
        async with every(OFTEN, work, "worker"):
            await eventually(lambda: len(rounds) >= 5)
    assert [(line["event"], line["loop"]) for line in logs] == [("loop.round_failed", "worker")]


async def test_rounds_do_not_overlap_and_missed_ones_are_not_made_up_for():
    begun = 0
    at_once = 0

    async def slow() -> None:
        nonlocal begun, at_once
        begun += 1
        at_once += 1
        assert at_once == 1
        await asyncio.sleep(0.02)
        at_once -= 1

    loop = asyncio.get_running_loop()
    began_at = loop.time()
    async with every(OFTEN, slow, "slow"):
        await eventually(lambda: begun >= 5)
    assert begun <= (loop.time() - began_at) / 0.02 + 1


async def test_a_round_under_way_is_finished_before_the_block_is_left():
    started = asyncio.Event()
    finished = False

    async def work() -> None:
        nonlocal finished
        started.set()
        await asyncio.sleep(0.02)
        finished = True

    async with every(timedelta(hours=1), work, "worker"):
        await started.wait()
    assert finished


async def test_a_loop_without_a_good_round_for_long_is_not_on_time(monkeypatch):
    monkeypatch.setattr("chassis.loops.LEAST_PATIENCE_S", 0.01)

    async def fail() -> None:
        raise KeyError("always")

    async def succeed() -> None:
        return

    bad = Loop("bad", OFTEN, fail)
    good = Loop("good", OFTEN, succeed)
    async with running(bad, good):
        await eventually(lambda: good.on_time and not bad.on_time)
