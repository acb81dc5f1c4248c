"""The NATS server, with JetStream, from its wheel."""

import json
import sysconfig
from pathlib import Path

from embedded.errors import JetStreamUnavailableError
from embedded.ports import LOOPBACK
from embedded.probes import nats_greeting
from embedded.process import Observer, Process, Program


async def start_nats(directory: Path, port: int, observer: Observer) -> Process:
    """Start it on `port`, with its streams in `directory`; refuse one that came up without JetStream."""
    directory.mkdir(parents=True, exist_ok=True)
    configuration = directory / "nats.conf"
    configuration.write_text(_configuration(directory / "store", port))

    async def probe() -> bool:
        return await nats_greeting(port) is not None

    process = await Process.start(
        Program("nats", (str(_binary()), "--config", str(configuration)), probe),
        observer,
    )
    greeting = await nats_greeting(port)
    if greeting is None or not greeting.get("jetstream"):
        await process.stop()
        raise JetStreamUnavailableError(nats_url(port), directory)
    return process


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
