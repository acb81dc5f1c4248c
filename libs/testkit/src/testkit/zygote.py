"""Python programs that start at once, forked from a process that has imported them before.

A suite's processes take ten seconds of a core to import what they are made of, and tests start some sixty suites and
run `p2p` hundreds of times. One that is forked here is a process like any other, with a pid, an environment and an
output of its own, and dies of its own signals: just what it consists of was read before it was born.
"""

import asyncio
import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from pathlib import Path

from embedded.catalogue import SERVICES
from embedded.process import LONGEST_LINE, Child, Program, execute

from testkit.nursery import PID_BYTES, Request
from testkit.patience import patient

PYTHON = (sys.executable, "-P", "-m")
"""How the commands begin that can be forked instead."""


class Zygote:
    """Forks programs that consist of `modules`; ends when this process does, and they with it."""

    def __init__(self, *modules: str) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [*PYTHON, "testkit.nursery", str(theirs.fileno()), *modules],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        atexit.register(self.close)

    def fork(
        self,
        command: Sequence[str],
        environment: Mapping[str, str] | None,
        directory: Path | None,
        *descriptors: int,
    ) -> int:
        """Have `python -P -m …` run, with these as its output, its errors and, if it has any, its input.

        Returned is a descriptor that tells its pid in a line, of `PID_BYTES`, and once it has ended its exit status.
        """
        module, *arguments = command[len(PYTHON) :]
        request = Request(module, arguments, dict(environment or os.environ), str(directory or Path.cwd()))
        told, telling = os.pipe()
        socket.send_fds(self._ours, [json.dumps(asdict(request)).encode()], [*descriptors, telling])
        os.close(telling)
        return told

    def run(
        self,
        *command: str,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
        within_s: float = 60,
    ) -> subprocess.CompletedProcess[str]:
        """Run it to its end, as `subprocess.run` does that captures its output; `TimeoutExpired` if that is late."""
        within_s = patient(within_s)
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            told = self.fork(command, environment, directory, output.fileno(), errors.fileno())
            with os.fdopen(told) as fate:
                pid = int(fate.readline())
                status = None
                try:
                    if select.select([told], [], [], within_s)[0]:
                        status = int(fate.readline())
                finally:
                    if status is None:
                        with suppress(ProcessLookupError):
                            os.kill(pid, signal.SIGKILL)
                if status is None:
                    raise subprocess.TimeoutExpired(command, within_s)
            output.seek(0)
            errors.seek(0)
            return subprocess.CompletedProcess(command, status, output.read().decode(), errors.read().decode())

    async def spawn(self, program: Program) -> Child:
        """For a suite: as `embedded.process.execute` does, which it is left to if this can't."""
        if program.command[: len(PYTHON)] != PYTHON:
            return await execute(program)
        output, writing = os.pipe()
        try:
            told = self.fork(program.command, program.environment, program.directory, writing, writing)
        finally:
            os.close(writing)
        return await Forked.born(told, output)

    def close(self) -> None:
        atexit.unregister(self.close)
        self._ours.close()
        self._process.wait()


class Forked:
    """A child of a zygote, looked at as one of asyncio's."""

    def __init__(self, pid: int, told: int, stdout: asyncio.StreamReader) -> None:
        self.pid = pid
        self.stdout: asyncio.StreamReader | None = stdout
        self.returncode: int | None = None
        self._end = asyncio.create_task(self._hear(told), name=f"end of {pid}")

    @classmethod
    async def born(cls, told: int, output: int) -> "Forked":
        stdout = asyncio.StreamReader(limit=LONGEST_LINE)
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stdout), os.fdopen(output, "rb", buffering=0)
        )
        await _readable(told)
        return cls(int(os.read(told, PID_BYTES)), told, stdout)

    async def _hear(self, told: int) -> int:
        try:
            await _readable(told)
            self.returncode = int(os.read(told, PID_BYTES) or -signal.SIGKILL)  # nothing, if the zygote was killed
        finally:
            os.close(told)
        return self.returncode

    async def wait(self) -> int:
        return await asyncio.shield(self._end)

    def send_signal(self, signal: int, /) -> None:
        if self.returncode is None:
            os.kill(self.pid, signal)


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(descriptor, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(descriptor)


@cache
def services() -> Zygote:
    """The one of this process that has imported the suite's services."""
    return Zygote(*(f"{service.name}.__main__" for service in SERVICES))
