"""The NATS server, with JetStream, from its wheel."""

import json
import os
import signal
import sysconfig
from pathlib import Path

from embedded.errors import EndedEarlyError, JetStreamUnavailableError
from embedded.ports import LOOPBACK
from embedded.probes import nats_greeting
from embedded.process import Observer, Process, Program


async def start_nats(directory: Path, port: int, observer: Observer, accounts: Path | None = None) -> Process:
    """Start it on `port`, with its streams in `directory`; `accounts`, a file, says who may connect; else all may."""
    directory.mkdir(parents=True, exist_ok=True)
    configuration = directory / "nats.conf"
    configuration.write_bytes(os.fsencode(_configuration(directory, port, accounts)))

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


def reload_nats(pid: int) -> None:
    """Have a running server read its configuration again, which cuts off whoever is revoked by now."""
    os.kill(pid, signal.SIGHUP)


def nats_url(port: int) -> str:
    return f"nats://{LOOPBACK}:{port}"


def _configuration(directory: Path, port: int, accounts: Path | None) -> str:
    # A path to include is taken as seen from the file that includes it.
    include = f"include {_quoted(os.path.relpath(accounts, directory))}\n" if accounts else ""
    return f"""\
# Written at every start; changes made here are lost.
server_name: p2p
listen: "{LOOPBACK}:{port}"
jetstream {{
  store_dir: {_quoted(str(directory / "store"))}
}}
{include}"""


def _quoted(path: str) -> str:
    # The server's configuration has no escape for a character by its number; as they are it takes them all.
    return json.dumps(path, ensure_ascii=False)


def _binary() -> Path:
    return Path(sysconfig.get_path("scripts")) / "nats-server"
