"""`p2p` as a program reads it, through pipes, and as a person sees it, on a terminal of some width."""

import fcntl
import os
import pty
import signal
import struct
import termios
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

from cli.main import SUBCOMMANDS
from testkit.zygote import PYTHON, Zygote

COMMAND = (*PYTHON, "cli")

PLAIN = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "COLUMNS", "P2P_KEY"}}


class Said(NamedTuple):
    code: int
    out: str
    error: str


@cache
def _zygote() -> Zygote:
    return Zygote(*SUBCOMMANDS.values())


def p2p(*words: object, environment: Mapping[str, str] | None = None, directory: Path | None = None) -> Said:
    """For a program."""
    run = _zygote().run(
        *COMMAND, *map(str, words), environment={**PLAIN, **(environment or {})}, directory=directory, within_s=90
    )
    return Said(run.returncode, run.stdout, run.stderr)


class Terminal:
    """One `p2p` on a terminal of its own."""

    def __init__(self, *words: object, width: int, environment: Mapping[str, str] | None = None) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
        told = _zygote().fork(
            (*COMMAND, *map(str, words)),
            {**PLAIN, "TERM": "xterm-256color", **(environment or {})},
            None,
            *(theirs, theirs, theirs),
        )
        os.close(theirs)
        self._fate = os.fdopen(told)
        self._pid = int(self._fate.readline())
        self.shown = ""

    def until(self, words: str) -> None:
        """Wait until they are shown, or the program ends."""
        while words not in self.shown and self._read():
            pass
        assert words in self.shown, self.shown

    def type(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def interrupt(self) -> None:
        """As Ctrl-C does."""
        os.kill(self._pid, signal.SIGINT)

    def ended(self) -> int:
        """Wait for its end, and give its exit code."""
        while self._read():
            pass
        os.close(self._ours)
        with self._fate:
            return int(self._fate.readline())

    def leave(self) -> None:
        """Kill what still runs on it."""
        if not self._fate.closed:
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
            self.ended()

    def _read(self) -> bool:
        # On Linux the end of a terminal's last program is an error.
        with suppress(OSError):
            piece = os.read(self._ours, 65536)
            self.shown += piece.decode(errors="replace")
            return bool(piece)
        return False


def on_terminal(*words: object, width: int, environment: Mapping[str, str] | None = None) -> tuple[int, list[str]]:
    """Its exit code and the lines it shows."""
    terminal = Terminal(*words, width=width, environment=environment)
    try:
        return terminal.ended(), terminal.shown.splitlines()
    finally:
        terminal.leave()
