"""Which signals ask a command to stop in order."""

import asyncio
import signal
from collections.abc import Callable


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
