"""What runs on a data directory, written down where `p2p status`, `p2p down` and the next `p2p up` find it."""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

from embedded.errors import AlreadyRunningError

BORN_WITHIN_S = 0.05
"""Two readings of one process' time of birth differ by the rounding of the clock's ticks (10 ms)."""


@dataclass(frozen=True)
class Pid:
    """A process id with its time of birth, since ids are dealt out again."""

    pid: int
    born: float

    @classmethod
    def of(cls, pid: int) -> "Pid":
        return cls(pid, psutil.Process(pid).create_time())

    def process(self) -> psutil.Process | None:
        """The process if it still lives."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.born) < BORN_WITHIN_S
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None


@dataclass
class ServerRecord:
    name: str
    url: str
    port: int
    pid: Pid | None = None


@dataclass
class ServiceRecord:
    service: str
    name: str
    """Of the instance."""
    http: str
    port: int
    pid: Pid | None = None


@dataclass
class Record:
    supervisor: Pid
    ready: bool = False
    """Whether everything has been ready once."""
    gateways: list[str] = field(default_factory=list)
    servers: list[ServerRecord] = field(default_factory=list)
    processes: list[ServiceRecord] = field(default_factory=list)

    def note(self, name: str, pid: Pid | None) -> None:
        """Write down the process id that the server or instance `name` has now."""
        self._entry(name).pid = pid

    def pids(self) -> list[Pid]:
        return [entry.pid for entry in self._entries if entry.pid is not None]

    def pid_of(self, name: str) -> int | None:
        """None while it is down."""
        pid = self._entry(name).pid
        return pid.pid if pid else None

    def port_of(self, name: str) -> int | None:
        """None if it was not among them."""
        return next((entry.port for entry in self._entries if entry.name == name), None)

    def url_of(self, server: str) -> str:
        return next(known.url for known in self.servers if known.name == server)

    @property
    def _entries(self) -> list[ServiceRecord | ServerRecord]:
        """Services before the servers they use."""
        return [*self.processes, *self.servers]

    def _entry(self, name: str) -> ServiceRecord | ServerRecord:
        return next(entry for entry in self._entries if entry.name == name)


@dataclass(frozen=True)
class DataDir:
    """One suite's directory; at most one suite runs on it."""

    path: Path

    @property
    def _record(self) -> Path:
        return self.path / "suite.json"

    @property
    def log(self) -> Path:
        """Where a detached suite writes."""
        return self.path / "suite.log"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory; the kernel lets go of it when we die, however we die."""
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise AlreadyRunningError(self.path) from None
            yield

    def read(self) -> Record | None:
        """What the last suite wrote, running or not."""
        try:
            written = json.loads(self._record.read_text())
        except FileNotFoundError:
            return None
        return Record(
            supervisor=Pid(**written["supervisor"]),
            ready=written["ready"],
            gateways=written["gateways"],
            servers=[ServerRecord(**{**entry, "pid": _pid(entry["pid"])}) for entry in written["servers"]],
            processes=[ServiceRecord(**{**entry, "pid": _pid(entry["pid"])}) for entry in written["processes"]],
        )

    def running(self) -> Record | None:
        """What runs now."""
        record = self.read()
        return record if record is not None and record.supervisor.process() is not None else None

    def write(self, record: Record) -> None:
        # Replaced as a whole: a reader sees the old one or the new one.
        partial = self._record.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(asdict(record), indent=1))
        partial.replace(self._record)


def _pid(written: dict[str, float] | None) -> Pid | None:
    return None if written is None else Pid(int(written["pid"]), written["born"])
