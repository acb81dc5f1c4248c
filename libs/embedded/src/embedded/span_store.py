"""The store of spans, which `p2p trace` asks: a program of ours that serves the suite as a server does."""

import os
import sys
from pathlib import Path

from embedded.ports import LOOPBACK
from embedded.probes import http_ready
from embedded.process import Observer, Process, Program

COMMAND = (sys.executable, "-P", "-m", "traces")


async def start_span_store(directory: Path, port: int, observer: Observer, key: str | None = None) -> Process:
    """Start it on `port`; it keeps the last hours in `directory`, as many as TRACES_KEEP_HOURS and _MIB say.

    It lets in who shows the `key`; without, everybody on this machine.
    """
    directory.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "TRACES_FILE": str(directory / "traces.db"), "TRACES_PORT": str(port)}
    if key is not None:
        environment["TRACES_KEY"] = key
    program = Program("traces", COMMAND, lambda: http_ready(span_store_url(port)), environment)
    return await Process.start(program, observer)


def span_store_url(port: int) -> str:
    return f"http://{LOOPBACK}:{port}"
