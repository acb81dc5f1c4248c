"""No test hangs: one that takes too long fails, and says where each of its threads and tasks stands.

The limit holds for each of a test's phases by itself (set up, call, tear down), so that a test which fails and then
cannot be taken down ends too. `@pytest.mark.time_limit(seconds)` gives a test more.
"""

import asyncio
import signal
import sys
import threading
import traceback
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest

from testkit.patience import patient
from testkit.portal import Portal

LIMIT_S = 60.0
"""Of one phase. The longest there is starts a whole suite, which takes half a minute where four are started at once."""

AGAIN_S = 10.0
"""What goes on waiting while it is taken down, such as a task that cannot be cancelled, is interrupted again."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"time_limit(seconds): what each phase of it may take, instead of {LIMIT_S:g} s")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    with _limited(item, "setup"):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    with _limited(item, "call"):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    with _limited(item, "teardown"):
        return (yield)


@contextmanager
def _limited(item: pytest.Item, phase: str) -> Iterator[None]:
    marker = item.get_closest_marker("time_limit")
    seconds = patient(marker.args[0] if marker else LIMIT_S)

    def interrupt(_number: int, frame: FrameType | None) -> None:
        item.add_report_section(phase, "where everything stood", stacks(frame))
        pytest.fail(f"{phase} took more than {seconds:g} s; where everything stood is shown below")

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def stacks(here: FrameType | None) -> str:
    """Say where this thread (at `here`), all others, and the tasks of the running loop and of all portals stand."""
    this = threading.get_ident()
    frames = {**sys._current_frames(), **({this: here} if here else {})}  # noqa: SLF001 -- documented, for debugging
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    parts = [
        f"thread {names.get(number, number)}\n{''.join(traceback.format_stack(frame))}"
        for number, frame in frames.items()
    ]
    loops = list(Portal.loops)
    try:
        loops.append(asyncio.get_running_loop())
    except RuntimeError:
        parts.append("no event loop was running in this thread\n")
    parts += [_stack_of(task) for loop in loops for task in asyncio.all_tasks(loop)]
    return "\n".join(parts)


def _stack_of(task: asyncio.Task[Any]) -> str:
    """Follow what it awaits down to what that waits for; `Task.get_stack` ends at the outermost coroutine."""
    lines = [f"task {task.get_name()}"]
    awaited: Any = task.get_coro()
    while (frame := getattr(awaited, "cr_frame", getattr(awaited, "ag_frame", None))) is not None:
        summary = traceback.extract_stack(frame, limit=1)[0]
        lines.append(f'  File "{summary.filename}", line {summary.lineno}, in {summary.name}\n    {summary.line}')
        awaited = getattr(awaited, "cr_await", getattr(awaited, "ag_await", None))
    return "\n".join([*lines, f"  waits for {awaited!r}", ""])
