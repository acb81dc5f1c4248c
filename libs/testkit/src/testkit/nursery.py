"""The process that a `Zygote` forks programs from: it imports what they consist of, and waits to be asked.

    python -P -m testkit.nursery DESCRIPTOR MODULE…

Whoever started it has the other end of the socket DESCRIPTOR.
"""

import ctypes
import gc
import io
import json
import os
import runpy
import select
import signal
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import Any

LONGEST_REQUEST = 128 * 1024
PID_BYTES = 10
PR_SET_PDEATHSIG = 1
STANDARD = (1, 2, 0)
"""Output, errors and input: the numbers that the descriptors of a request get, however many those are."""


@dataclass(frozen=True)
class Request:
    module: str
    arguments: list[str]
    environment: dict[str, str]
    directory: str


class Nursery:
    """Forks, and tells how each child ends; all in one thread, since only that one goes on in a child."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._telling: dict[int, int] = {}
        self._woken, self._waking = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._waking)

    def work(self) -> Request | None:
        """Fork whenever asked to. Returns in each child, with what it is to become, and in the end."""
        while True:
            watched: list[Any] = [self._control, self._woken]
            ready, _, _ = select.select(watched, [], [])
            if self._woken in ready:
                os.read(self._woken, 4096)
                self._bury()
            if self._control in ready:
                words, descriptors, _, _ = socket.recv_fds(self._control, LONGEST_REQUEST, len(STANDARD) + 1)
                if not words:
                    return None
                *standard, telling = descriptors
                pid = os.fork()
                if pid == 0:
                    request = Request(**json.loads(words))
                    self._leave()
                    os.close(telling)
                    _settle(request, standard)
                    return request
                for descriptor in standard:
                    os.close(descriptor)
                self._telling[pid] = telling
                os.write(telling, f"{pid:>{PID_BYTES - 1}}\n".encode())

    def _bury(self) -> None:
        while self._telling:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            telling = self._telling.pop(pid)
            with suppress(BrokenPipeError):  # who asked for it may have gone
                os.write(telling, f"{os.waitstatus_to_exitcode(status)}\n".encode())
            os.close(telling)

    def _leave(self) -> None:
        """In a child: what is the nursery's is none of its business."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._control.close()
        for descriptor in (self._woken, self._waking, *self._telling.values()):
            os.close(descriptor)


def _settle(request: Request, descriptors: Sequence[int]) -> None:
    """Make the world around this process what it would find if it had been executed."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored, where a shell has started all this beside it
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    for descriptor, number in zip(descriptors, STANDARD, strict=False):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(request.directory)
    os.environ.clear()
    os.environ.update(request.environment)
    time.tzset()
    sys.argv = [request.module, *request.arguments]
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=os.isatty(1) or "PYTHONUNBUFFERED" in os.environ)


def main() -> None:
    control, *modules = sys.argv[1:]
    for module in modules:
        import_module(module)
    gc.collect()
    gc.freeze()  # a collection in a child would otherwise copy every page of this
    request = Nursery(socket.socket(fileno=int(control))).work()
    if request is not None:
        runpy.run_module(request.module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
