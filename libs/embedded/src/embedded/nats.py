"""The NATS server, with JetStream, from its wheel."""

import json
import sysconfig
from pathlib import Path

from embedded.errors import EndedEarlyError, JetStreamUnavailableError
from embedded.ports import LOOPBACK
from embedded.probes import nats_greeting
from embedded.process import Observer, Process, Program


async def start_nats(directory: Path, port: int, observer: Observer) -> Process:
    """Start it on `port`, with its streams in `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    configuration = directory / "nats.conf"
    configuration.write_text(_configuration(directory / "store", port))

    async def probe() -> bool:
        greeting = await nats_greeting(port)
        return greeting is not None and bool(greeting.get("jetstream"))

    program = Program("nats", (str(_binary()), "--config", str(configuration)), probe)
    try:
        return await Process.start(program, observer)
    except EndedEarlyError as error:
        if "JetStream" in error.last_words:
            raise JetStreamUnavailableError(directory, error.last_words) from error
        raise


def nats_url(port: int) -> str:
    return f"nats://{LOOPBACK}:{port}"


def _configuration(store: Path, port: int) -> str:
    return f"""\
# Written at every start; changes made here are lost.
server_name: p2p
listen: "{LOOPBACK}:{port}"
jetstream {{
  store_dir: {json.dumps(str(store))}
}}
"""


def _binary() -> Path:
    return Path(sysconfig.get_path("scripts")) / "nats-server"
