"""Lines on their way out, written by a thread of their own: a reader that is slow, or gone, holds up nobody.

What it does not take is dropped. A terminal that was stopped with Ctrl-S, a pager nobody scrolls, a `head` that has
read enough and a full disk are all no business of a suite's.
"""

import os
import queue
import select
import sys
import threading
from typing import TextIO, cast

MOST_WAITING = 10_000
"""Lines: all of a suite's start, some minutes of its work."""

FAREWELL_S = 2.0
"""How long what was said last may take to be read."""


def output() -> int:
    """Where we write; nowhere, where we were started without."""
    there = cast("TextIO | None", sys.stdout)
    return there.fileno() if there is not None else os.open(os.devnull, os.O_WRONLY)


class Outlet:
    """Writes lines to a descriptor, in order."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._waiting: queue.Queue[bytes | None] = queue.Queue(MOST_WAITING)
        self._thread = threading.Thread(target=self._write_all, name=f"lines to {descriptor}", daemon=True)
        self._thread.start()

    def __call__(self, line: str) -> None:
        """Have it written soon, or never; returns at once."""
        try:
            self._waiting.put_nowait(f"{line}\n".encode(errors="backslashreplace"))
        except queue.Full:
            return

    def close(self) -> None:
        """Wait a moment for what is on its way."""
        try:
            self._waiting.put(None, timeout=FAREWELL_S)
        except queue.Full:
            return
        self._thread.join(FAREWELL_S)

    def _write_all(self) -> None:
        while (line := self._waiting.get()) is not None:
            self._write(line)

    def _write(self, line: bytes) -> None:
        while line:
            try:
                line = line[os.write(self._descriptor, line) :]
            except BlockingIOError:  # somebody else has made it so; a terminal is shared
                select.select([], [self._descriptor], [])
            except OSError:
                return
