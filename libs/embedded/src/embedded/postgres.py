"""PostgreSQL 18 from its wheel's programs, under a launcher of our own.

The wheel's Python interface is not used: as root it makes a user, opens every parent directory and trusts everybody.
"""

import asyncio
import os
import shutil
import signal
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import psutil

from embedded.errors import EmbeddedError
from embedded.installation import programs, server_account
from embedded.leftovers import end
from embedded.ports import LOOPBACK
from embedded.probes import postgres_ready
from embedded.process import Account, Observer, Process, Program

USER = "p2p"
MAJOR = "18"

SETTINGS = {
    "listen_addresses": LOOPBACK,
    # Loopback serves everyone here, and a socket file's path may be too long under a deep data directory.
    "unix_socket_directories": "",
    "max_connections": "200",
    # Our statements are short: compiling one costs more than running it.
    "jit": "off",
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
    "log_checkpoints": "off",
    # Three processes less when idle; what we read is in memory.
    "io_method": "sync",
    "log_min_messages": "warning",
    "log_line_prefix": "",
    "timezone": "UTC",
}

RULES = f"""\
# Written by p2p at every change of mode or password{{mark}}; changes made here are lost.
host all all {LOOPBACK}/32 {{how}}
"""

NOT_DURABLE = {"fsync": "off", "full_page_writes": "off"}
"""For tests: a crash of the machine may lose the data, a killed server loses nothing (so commits stay synchronous)."""


@dataclass(frozen=True)
class Postgres:
    """One cluster: its directory, its programs and who runs them."""

    directory: Path
    programs: Path
    account: Account | None
    password: str | None = None
    """Without one, everybody on this machine is let in."""

    @classmethod
    def under(cls, data_dir: Path, password: str | None = None) -> "Postgres":
        account = server_account()
        return cls(data_dir / "postgres", programs(account, data_dir), account, password)

    async def start(self, port: int, observer: Observer, more_settings: Mapping[str, str] | None = None) -> Process:
        """Start it on `port`; the first start makes the cluster."""
        await self._make_cluster()
        _clear_stale_lock(self.directory)
        await self._let_in()
        settings = {**SETTINGS, "port": str(port), **(more_settings or {})}

        async def probe() -> bool:
            return await postgres_ready(port, USER)

        with self._within_reach(self.directory) as (path, descriptors):
            program = Program(
                "postgres",
                (
                    str(self.programs / "postgres"),
                    "-D",
                    path,
                    *(word for name, value in settings.items() for word in ("-c", f"{name}={value}")),
                ),
                probe,
                environment={},
                directory=Path("/"),
                account=self.account,
                descriptors=descriptors,
                # "Fast": end the connections, write everything, stop.
                stop_signal=signal.SIGINT,
                # After a crash it first replays what it had written.
                ready_within_s=60,
            )
            return await Process.start(program, observer)

    async def make_databases(self, port: int, names: Iterable[str]) -> None:
        """Create those of `names` that are not there."""
        there = set((await self._psql(port, "SELECT datname FROM pg_database")).split())
        missing = [name for name in names if name not in there]
        if missing:
            await self._psql(port, *(f'CREATE DATABASE "{name}"' for name in missing))

    async def dump(self, port: int, database: str, file: Path) -> None:
        """Write all of a database, as it is at one moment, into an absolute path."""
        await self._run("pg_dump", *_at(port, database), "--format=custom", f"--file={file}")

    async def restore(self, port: int, file: Path) -> None:
        """Make the database of a dump, with the settings that are the database's own."""
        make = ("--create", "--no-owner", "--exit-on-error")
        await self._run("pg_restore", *_at(port, "postgres"), *make, str(file))

    async def _make_cluster(self) -> None:
        if (self.directory / "PG_VERSION").exists():
            found = (self.directory / "PG_VERSION").read_text(errors="replace").strip()
            if found != MAJOR:
                raise EmbeddedError(
                    f"{self.directory} was made by PostgreSQL {found}, this is {MAJOR}; "
                    "dump it with the older suite, or choose another --data-dir"
                )
            return
        # Under a name of its own until it is whole: an interrupted first start is simply made again.
        partial = self.directory.with_name("postgres.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(mode=0o700, parents=True)
        if self.account is not None:
            os.chown(partial, self.account.user, self.account.group)
        with self._within_reach(partial) as (path, descriptors):
            await self._run(
                "initdb",
                *("-D", path, "--username", USER, "--auth", "trust", "--encoding", "UTF8", "--no-sync"),
                # Code point order and no dependency on the machine's locales.
                *("--locale-provider", "builtin", "--builtin-locale", "C.UTF-8", "--locale", "C"),
                as_account=True,
                descriptors=descriptors,
            )
        partial.rename(self.directory)

    async def _let_in(self) -> None:
        """Say who is let in: whoever knows the password, which the server learns before it listens to anybody."""
        rules = self.directory / "pg_hba.conf"
        # By the mark it is seen that the password is another: its file may have been lost and made anew.
        mark = f" ({sha256(self.password.encode()).hexdigest()[:16]})" if self.password else ""
        wanted = RULES.format(how="scram-sha-256" if self.password else "trust", mark=mark)
        if rules.exists() and rules.read_text(errors="replace") == wanted:
            return
        if self.password:
            with self._within_reach(self.directory) as (path, descriptors):
                await self._run(
                    "postgres",
                    *("--single", "-D", path, "postgres"),
                    as_account=True,
                    descriptors=descriptors,
                    words=f"ALTER ROLE {USER} PASSWORD '{self.password}'\n",
                )
        rules.write_text(wanted)

    async def _psql(self, port: int, *statements: str) -> str:
        commands = [word for statement in statements for word in ("-c", statement)]
        return await self._run("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", *_at(port, "postgres"), *commands)

    async def _run(
        self,
        program: str,
        *arguments: str,
        as_account: bool = False,
        descriptors: tuple[int, ...] = (),
        words: str | None = None,
    ) -> str:
        """Run it to its end, with `words` as its input, and give its output."""
        account = self.account if as_account else None
        child = await asyncio.create_subprocess_exec(
            self.programs / program,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL if words is None else asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            # initdb starts postgres through a shell; psql reads the password.
            env={"PATH": "/usr/bin:/bin", **({"PGPASSWORD": self.password} if self.password else {})},
            cwd="/",
            user=account.user if account else None,
            group=account.group if account else None,
            extra_groups=[] if account else None,
            pass_fds=descriptors,
        )
        try:
            output, errors = await child.communicate(words.encode() if words is not None else None)
        except asyncio.CancelledError:
            child.kill()
            await child.communicate()
            raise
        if child.returncode:
            raise EmbeddedError(f"{program} of PostgreSQL failed: {errors.decode(errors='replace').strip()}")
        return output.decode()

    @contextmanager
    def _within_reach(self, directory: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
        """A name for `directory` that the account can use, and the descriptors that go with it.

        `nobody` may own a directory below others that are closed to it (a temporary directory, root's home):
        an inherited descriptor leads there without opening any of them.
        """
        if self.account is None:
            yield str(directory), ()
            return
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield f"/proc/self/fd/{descriptor}", (descriptor,)
        finally:
            os.close(descriptor)


def _at(port: int, database: str) -> tuple[str, ...]:
    return ("-h", LOOPBACK, "-p", str(port), "-U", USER, "-d", database)


def _clear_stale_lock(directory: Path) -> None:
    """Remove the lock file of a server that is no more, and stop one that is.

    PostgreSQL itself takes any living process of its user for the old server, and in a container, where every start
    deals out the same few numbers, there is always one. Here the data directory is ours: who calls holds its lock.
    """
    lock = directory / "postmaster.pid"
    if not lock.exists():
        return
    old = _server_of(directory, lock.read_text(errors="replace"))
    if old is not None:
        old.send_signal(signal.SIGINT)
        end([old])
    lock.unlink(missing_ok=True)


def _server_of(directory: Path, lock: str) -> psutil.Process | None:
    """The living server that the lock file names, if it serves `directory`."""
    number = lock.split(maxsplit=1)[0] if lock.strip() else ""
    try:
        process = psutil.Process(int(number))
        # A server's working directory is the one that it serves.
        serves = process.name() == "postgres" and Path(process.cwd()).samefile(directory)
    except (ValueError, OSError, psutil.Error):
        return None
    return process if serves else None
