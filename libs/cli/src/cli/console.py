"""What a running suite writes: all of it to its log, what matters, behind the coloured name of who said it, to us."""

import os
import zlib
from pathlib import Path

from embedded.process import SUPERVISOR
from embedded.record import Record

from cli.loudness import Loudness
from cli.outlet import Outlet, output

COLOURS = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)
"""ANSI foregrounds that can be read on black and on white; red is kept for what went wrong."""

NAME_WIDTH = len("signaling_gateway-10")


class Console:
    """A suite's standard output and its log file; takes lines as the suite's sink does, and never blocks or raises."""

    def __init__(self, log: Path, *, everything: bool) -> None:
        descriptor = output()
        self._screen = Outlet(descriptor)
        self._coloured = os.isatty(descriptor)
        self._log_file = log
        self._log: Outlet | None = None
        self._loudness = Loudness()
        # Detached, standard output is the log file.
        self._is_log = _is_same(descriptor, log)
        self._everything = everything or self._is_log

    def __call__(self, name: str, line: str) -> None:
        """Write one line of `name`."""
        if not self._is_log:
            self._keep(line_of(name, line))
        matters = self._loudness.matters(name, line)
        if self._everything or matters or name == SUPERVISOR:
            # Where many speak, names are a column; else they leave the room to what is said.
            self._screen(line_of(name, line, NAME_WIDTH if self._everything else 0, coloured=self._coloured))

    def begin_line(self) -> None:
        """A terminal has shown the keys that were pressed, as ^C, where the next line is to begin."""
        if self._coloured:
            self._screen("")

    def print(self, text: str) -> None:
        """Show what is no line of anybody's."""
        self._screen(text)

    def close(self) -> None:
        self._screen.close()
        if self._log is not None:
            self._log.close()

    def _keep(self, line: str) -> None:
        if self._log is None:
            # Not before the first line: who speaks holds the data directory, and nobody else's log is in the way.
            self._log = Outlet(_opened(self._log_file))
        self._log(line)


def line_of(name: str, line: str, width: int = NAME_WIDTH, *, coloured: bool = False) -> str:
    prefix = f"{name:<{width}} |"
    if coloured:
        # By name and not by turn: an instance has the same colour tomorrow.
        colour = 1 if name == SUPERVISOR else COLOURS[zlib.crc32(name.encode()) % len(COLOURS)]
        prefix = f"\033[{colour}m{prefix}\033[0m"
    return f"{prefix} {line}"


def rows(*said: tuple[str, str]) -> str:
    """What, and where, one below the other."""
    return "\n".join(f"  {what:<12}{where}" for what, where in said)


def addresses(record: Record) -> str:
    """Where everything is, for people."""
    first, *others = record.gateways
    lines = [("console", first), *(("", url) for url in others), ("docs", f"{first}/docs")]
    lines += [
        ("NATS", record.url_of("nats")),
        ("PostgreSQL", record.url_of("postgres")),
        ("Redis", record.url_of("redis")),
    ]
    lines += [(server.name, server.url) for server in record.servers if server.name == "traces"]
    return rows(*lines)


def _opened(log: Path) -> int:
    try:
        return os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644)
    except OSError:  # it is for later reading, and no reason not to run now
        return os.open(os.devnull, os.O_WRONLY)


def _is_same(descriptor: int, log: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), log.stat())
    except OSError:
        return False
