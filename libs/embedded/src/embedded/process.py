"""One program while it runs: started, awaited until ready, listened to line by line, stopped."""

import asyncio
import contextlib
import json
import shutil
import signal
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from embedded.errors import EndedEarlyError, NotReadyError


class Observer(Protocol):
    """Who is told what programs do; called from the loop, so it must not block."""

    def spawned(self, name: str, pid: int) -> None: ...

    def wrote(self, name: str, line: str) -> None: ...

    def ended(self, name: str) -> None: ...


SUPERVISOR = "p2p"
"""The name under which we ourselves speak among the lines of the programs."""

PROBE_EVERY_S = 0.03
"""A probe costs well under a millisecond, and every start waits half of this for nothing."""

LONGEST_LINE = 1024 * 1024
"""A traceback with a large payload in it is one line in a structured log."""

DRAWN = " |+-"
"""What Python frames the errors of an ExceptionGroup with."""

HEAR_OUT_S = 5.0
"""PostgreSQL's children notice within a second that their parent is gone; a stray child may hold the pipe for ever."""


@dataclass(frozen=True)
class Account:
    user: int
    group: int


@dataclass(frozen=True)
class Program:
    """What to run, and how to know that it is ready."""

    name: str
    command: tuple[str, ...]
    probe: Callable[[], Awaitable[bool]]
    environment: Mapping[str, str] | None = None
    directory: Path | None = None
    account: Account | None = None
    """Whom it runs as; None for whoever we are."""
    descriptors: tuple[int, ...] = ()
    """File descriptors it inherits besides its output."""
    stop_signal: signal.Signals = signal.SIGTERM
    ready_within_s: float = 30.0
    stop_within_s: float = 15.0


class Child(Protocol):
    """A process as far as it is looked at here; asyncio's own is one."""

    stdout: asyncio.StreamReader | None

    @property
    def pid(self) -> int: ...

    @property
    def returncode(self) -> int | None: ...

    async def wait(self) -> int: ...

    def send_signal(self, signal: int, /) -> None: ...


Spawn = Callable[[Program], Awaitable[Child]]


async def execute(program: Program) -> Child:
    """Run it in a process of its own, which the kernel ends with us."""
    return await asyncio.create_subprocess_exec(
        *_dying_with_us(program.stop_signal),
        *program.command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=program.environment,
        cwd=program.directory,
        user=program.account.user if program.account else None,
        group=program.account.group if program.account else None,
        extra_groups=[] if program.account else None,
        pass_fds=program.descriptors,
        # Ctrl-C reaches a terminal's whole process group; the order of stopping is ours to keep.
        start_new_session=True,
        limit=LONGEST_LINE,
    )


@dataclass
class Process:
    """A running `Program`; made by `start`."""

    program: Program
    _child: Child
    _observer: Observer
    _last_lines: deque[str] = field(default_factory=lambda: deque(maxlen=20))
    _reader: asyncio.Task[None] = field(init=False)
    _told: bool = field(default=False, init=False)

    @classmethod
    async def start(cls, program: Program, observer: Observer, spawn: Spawn = execute) -> "Process":
        """Start `program` and return when it is ready; otherwise stop it and say why it is not."""
        child = await spawn(program)
        process = cls(program, child, observer)
        observer.spawned(program.name, child.pid)
        process._reader = asyncio.create_task(process._listen(), name=f"log of {program.name}")
        try:
            await process._until_ready()
        except BaseException:
            await process.stop()
            raise
        return process

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def alive(self) -> bool:
        return self._child.returncode is None

    async def ended(self) -> str:
        """Wait for the end and say how it came: "ended with status 1", "was killed by SIGKILL"."""
        status = await self._child.wait()
        await self._hear_out()
        return f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"

    @property
    def last_words(self) -> str:
        """Its last sentence: no mere remark of PostgreSQL's, which goes on to say that it is down, and no drawing."""
        return last_sentence(self._last_lines)

    async def stop(self) -> None:
        """Ask it to stop, and kill it if it has not within its time."""
        self.send(self.program.stop_signal)
        try:
            async with asyncio.timeout(self.program.stop_within_s):
                await self._child.wait()
        except TimeoutError:
            self._observer.wrote(
                SUPERVISOR, f"{self.program.name} did not stop within {self.program.stop_within_s:g} s: killed"
            )
            self.send(signal.SIGKILL)
            await self._child.wait()
        await self._hear_out()

    async def kill(self) -> None:
        """End it the hard way and wait until it is gone."""
        self.send(signal.SIGKILL)
        await self._child.wait()
        await self._hear_out()

    def send(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._child.send_signal(number)

    async def _until_ready(self) -> None:
        ended = asyncio.create_task(self._child.wait())
        try:
            async with asyncio.timeout(self.program.ready_within_s):
                while not await self.program.probe():
                    done, _ = await asyncio.wait({ended}, timeout=PROBE_EVERY_S)
                    if done:
                        raise EndedEarlyError(self.program.name, await self.ended(), self.last_words)
        except TimeoutError:
            raise NotReadyError(self.program.name, self.program.ready_within_s, self.last_words) from None
        finally:
            ended.cancel()

    async def _hear_out(self) -> None:
        """Wait for the end of its output: children of its own (PostgreSQL has some) are gone by then too."""
        done, _ = await asyncio.wait({self._reader}, timeout=HEAR_OUT_S)
        if not done:
            self._reader.cancel()
        if not self._told:
            self._told = True
            self._observer.ended(self.program.name)

    async def _listen(self) -> None:
        output = self._child.stdout
        assert output is not None  # noqa: S101  it was asked for as a pipe
        while True:
            try:
                raw = await output.readline()
            except ValueError:  # longer than LONGEST_LINE: the stream has dropped it, what follows is read on
                continue
            if not raw:
                return
            line = raw.decode(errors="replace").rstrip()
            self._last_lines.append(line)
            self._observer.wrote(self.program.name, line)


def last_sentence(lines: Iterable[str]) -> str:
    """The last of `lines` that tells something; what Python draws around the errors of a group is left out."""
    told = [words for line in lines if (words := _words(line))]
    return next((words for words in reversed(told) if not words.startswith("LOG:")), told[-1] if told else "")


def _words(line: str) -> str:
    """What is said in a line; one of JSON says what happened, and of a traceback its end."""
    if line.startswith("{"):
        with contextlib.suppress(ValueError):
            said = json.loads(line)
            traceback = last_sentence(str(said.get("exception", "")).splitlines())
            return ": ".join(filter(None, (str(said.get("event", line)), traceback)))
    words = line.lstrip(DRAWN) if line.startswith((" ", "+", "|")) else line
    return words.rstrip() if words.strip(DRAWN) else ""


def _dying_with_us(number: signal.Signals) -> tuple[str, ...]:
    """Have the kernel send `number` when we die without a chance to stop our children.

    setpriv does it in the child after the change of user, which a hook in Python would have to do between
    fork and exec. Where there is no setpriv, the next start finds what is left over by its record.
    """
    setpriv = shutil.which("setpriv")
    return (setpriv, "--pdeathsig", number.name.removeprefix("SIG"), "--") if setpriv else ()
