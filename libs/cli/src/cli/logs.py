"""`p2p logs`: what the programs of a suite have said, and say."""

import os
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, BinaryIO

import typer
from embedded.catalogue import SERVICES
from embedded.hints import p2p
from embedded.process import SUPERVISOR
from embedded.record import DataDir

from cli.options import DEFAULT_DATA_DIR, DataDirOption

LOOK_EVERY_S = 0.1

LAST = 200

SPEAKERS = (SUPERVISOR, "nats", "postgres", "redis", "traces", *(service.name for service in SERVICES))


def _speaker(name: str | None) -> str | None:
    if name is None or name.replace("-", "_").rstrip("_0123456789") in SPEAKERS:
        return name
    raise typer.BadParameter(f"nobody is called {name!r}; there are {', '.join(SPEAKERS)}")


def logs(
    service: Annotated[
        str | None,
        typer.Argument(help="Of these alone: a service, an instance, a server.", callback=_speaker, show_default=False),
    ] = None,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what they say, until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many of the last to begin with.", min=0)] = LAST,
) -> None:
    """Show what the programs of the suite on DIR said last."""
    log = DataDir(data_dir.resolve()).log
    try:
        file = log.open("rb")
    except OSError as error:
        sys.exit(f"error: {log}: {error.strerror}; `{p2p('up', data_dir=data_dir)}` writes it")
    with file:
        for line in deque(_of(service, file), maxlen=lines):
            _write(line)
        position = file.tell()
    if follow:
        with suppress(KeyboardInterrupt):
            for line in _of(service, _more(log, position)):
                _write(line)


def _of(service: str | None, lines: Iterator[bytes] | BinaryIO) -> Iterator[bytes]:
    """Those that one of that name has said: `prober-1` and, if `prober` is asked for, all of its instances."""
    for line in lines:
        name = line.partition(b"|")[0].strip().decode(errors="replace")
        if service is None or service.replace("-", "_") in {name.replace("-", "_"), name.rpartition("-")[0]}:
            yield line


def _more(log: Path, position: int) -> Iterator[bytes]:
    """What is written from there on; from its beginning where the next suite has begun it anew."""
    unfinished = b""
    while True:
        with suppress(OSError), log.open("rb") as file:
            if os.fstat(file.fileno()).st_size < position:
                position, unfinished = 0, b""
            file.seek(position)
            *lines, unfinished = (unfinished + file.read()).split(b"\n")
            position = file.tell()
            yield from (line + b"\n" for line in lines)
        time.sleep(LOOK_EVERY_S)


def _write(line: bytes) -> None:
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()
