"""How a command ends: which signals ask it to, and what runs beside it until then."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

FAREWELL_S = 2.0
"""What is left to say takes milliseconds, unless its hearer is away."""


def cancel_on_signals(say: Callable[[], None] = lambda: None) -> None:
    """Let Ctrl-C, SIGTERM and the end of the terminal cancel the caller, once: a second must not cut it short.

    SIGHUP, the end of the terminal, counts only where it was not ignored at the start, as `nohup` has it.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None  # noqa: S101  called from a coroutine

    def interrupt() -> None:
        if not task.cancelling():
            task.cancel()
            say()

    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    for number in (signal.SIGINT, signal.SIGTERM, *(() if ignored else (signal.SIGHUP,))):
        loop.add_signal_handler(number, interrupt)


@asynccontextmanager
async def beside(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Have this run for as long as the block does; at its end it has a moment to say goodbye."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=FAREWELL_S)
