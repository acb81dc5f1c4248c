"""Which signals end a command in order, and how often."""

import asyncio
import os
import signal

import pytest
from cli.ending import cancel_on_signals
from testkit.patience import within

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture
def handlers():
    """What this process does with the signals, put back afterwards."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


async def until_cancelled(said, started):
    cancel_on_signals(lambda: said.append("stopping"))
    started.set()
    try:
        await asyncio.Event().wait()
    finally:
        for number in SIGNALS:
            asyncio.get_running_loop().remove_signal_handler(number)


@pytest.mark.parametrize("number", SIGNALS)
async def test_each_cancels_and_it_is_said(handlers, number):
    said: list[str] = []
    started = asyncio.Event()
    task = asyncio.create_task(until_cancelled(said, started))
    await started.wait()
    os.kill(os.getpid(), number)
    async with within(5):
        with pytest.raises(asyncio.CancelledError):
            await task
    assert said == ["stopping"]


async def test_the_end_of_the_terminal_is_nothing_where_it_was_ignored_at_the_start(handlers):
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    said: list[str] = []
    started = asyncio.Event()
    task = asyncio.create_task(until_cancelled(said, started))
    await started.wait()
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    os.kill(os.getpid(), signal.SIGHUP)
    os.kill(os.getpid(), signal.SIGTERM)
    async with within(5):
        with pytest.raises(asyncio.CancelledError):
            await task
    assert said == ["stopping"]
