"""A suite's databases as files, and an empty data directory filled from them; by PostgreSQL's own programs.

One file per service that keeps something. Each is of one moment, all together of some seconds.
"""

import shutil
from pathlib import Path

from embedded.catalogue import SERVICES
from embedded.errors import EmbeddedError
from embedded.hints import p2p
from embedded.ports import free_port
from embedded.postgres import Postgres
from embedded.private import private_directory
from embedded.record import DataDir
from embedded.secrets import postgres_password_file

STORELESS = "prober"
KEEPING = tuple(service.name for service in SERVICES if service.name != STORELESS)


async def back_up(data_dir: Path, into: Path) -> None:
    """Write the databases of the suite that runs on `data_dir` into a directory that is empty, or made."""
    record = DataDir(data_dir).running()
    port = record.port_of("postgres") if record else None
    if port is None:
        raise EmbeddedError(f"nothing runs on {data_dir}; start it with `{p2p('up', data_dir=data_dir)}`")
    if into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise EmbeddedError(f"{into} is there already, and not empty; name another directory")
    password = postgres_password_file(data_dir)
    postgres = Postgres.under(data_dir, password.read_text() if password.exists() else None)
    directory = private_directory(into).resolve()
    for service in KEEPING:
        await postgres.dump(port, service, _file(directory, service))


async def restore(backup: Path, data_dir: Path) -> None:
    """Make the databases of a suite that has none yet; wholly, or there are none afterwards."""
    files = [_file(backup.resolve(), service) for service in KEEPING]
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise EmbeddedError(f"{backup} is no backup of a suite: there is no {', '.join(missing)} in it")
    with DataDir(data_dir).locked():
        if (data_dir / "postgres").exists() or (data_dir / "nats").exists():
            raise EmbeddedError(f"{data_dir} has the data of a suite already; restore into another --data-dir")
        postgres = Postgres.under(data_dir)
        try:
            await _fill(postgres, files)
        except BaseException:
            shutil.rmtree(postgres.directory, ignore_errors=True)
            raise


async def _fill(postgres: Postgres, files: list[Path]) -> None:
    port = free_port()
    process = await postgres.start(port, _Nobody())
    try:
        for file in files:
            await postgres.restore(port, file)
    finally:
        await process.stop()


class _Nobody:
    """Hears what PostgreSQL says meanwhile; why it does not start is told all the same."""

    def spawned(self, name: str, pid: int) -> None: ...

    def wrote(self, name: str, line: str) -> None: ...

    def ended(self, name: str) -> None: ...


def _file(directory: Path, service: str) -> Path:
    return directory / f"{service}.dump"
