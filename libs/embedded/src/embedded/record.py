"""What runs on a data directory, written down where `p2p status`, `p2p down` and the next `p2p up` find it."""

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psutil

from embedded.errors import AlreadyRunningError, DataDirError

LOCK_TRIES = 5
LOCK_AGAIN_AFTER_S = 0.05
"""Who merely looks whether a suite runs holds the lock for some microseconds."""

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

START_TICKS = 19
"""Field 22 of /proc/<pid>/stat, counted from behind the command's name, which may hold blanks."""

Made = TypeVar("Made")


@dataclass(frozen=True)
class Pid:
    """A process id with the time of its birth, since ids are dealt out again.

    In ticks since the machine's start, which of the two clocks is the one that nobody steps.
    """

    pid: int
    ticks: int
    boot: str
    """Which start of the machine they count from."""

    @classmethod
    def of(cls, pid: int) -> "Pid":
        return cls(pid, _ticks(pid), _boot())

    def process(self) -> psutil.Process | None:
        """The process if it still lives."""
        try:
            process = psutil.Process(self.pid)
            same = (self.ticks, self.boot) == (_ticks(self.pid), _boot())
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None


def _ticks(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[START_TICKS])
    except (FileNotFoundError, ProcessLookupError):
        raise psutil.NoSuchProcess(pid) from None


def _boot() -> str:
    return BOOT_ID.read_text().strip()


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
    def _lock(self) -> Path:
        return self.path / "lock"

    @property
    def log(self) -> Path:
        """Where a detached suite writes."""
        return self.path / "suite.log"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory; the kernel lets go of it when we die, however we die."""
        self.make()
        try:
            lock = self._lock.open("w")
        except OSError as error:
            raise DataDirError(self.path, "cannot be written to", error) from error
        with lock:
            if not _locked(lock.fileno()):
                raise AlreadyRunningError(self.path)
            yield

    def make(self) -> None:
        """See that it is there."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataDirError(self.path, "cannot be made", error) from error

    def is_held(self) -> bool:
        """Whether a suite runs here, whatever its record says."""
        try:
            with self._lock.open() as lock:
                return not _locked(lock.fileno(), tries=1)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise DataDirError(self.path, "cannot be looked into", error) from error

    def holder(self) -> psutil.Process | None:
        """Who holds the lock, as far as we may know: another user's programs are closed to us."""
        lock = self._lock.stat()
        return next((process for process in psutil.process_iter() if _holds(process.pid, lock)), None)

    def read(self) -> Record | None:
        """What the last suite wrote, running or not; what cannot be understood is no record."""
        try:
            written = json.loads(self._record.read_text())
            return Record(
                supervisor=_pid(written["supervisor"]),
                ready=bool(written["ready"]),
                gateways=[str(gateway) for gateway in written["gateways"]],
                servers=[_entry(ServerRecord, entry) for entry in written["servers"]],
                processes=[_entry(ServiceRecord, entry) for entry in written["processes"]],
            )
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
            return None
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise DataDirError(self._record, "cannot be read", error) from error

    def running(self) -> Record | None:
        """What runs now, as far as its record can be understood."""
        record = self.read()
        return record if record is not None and record.supervisor.process() is not None else None

    def write(self, record: Record) -> None:
        # Replaced as a whole: a reader sees the old one or the new one.
        partial = self._record.with_suffix(f".{os.getpid()}")
        try:
            partial.write_text(json.dumps(asdict(record), indent=1))
            partial.replace(self._record)
        except OSError:
            with contextlib.suppress(OSError):
                partial.unlink()
            raise


def _pid(written: Any) -> Pid:
    pid = Pid(int(written["pid"]), int(written["ticks"]), str(written["boot"]))
    if pid.pid <= 0:
        raise ValueError(f"{pid.pid} is no process id")
    return pid


def _entry(kind: Callable[..., Made], written: Any) -> Made:
    number = written["pid"]
    texts = {name: str(value) for name, value in written.items() if name not in {"pid", "port"}}
    return kind(**texts, port=int(written["port"]), pid=None if number is None else _pid(number))


def _locked(descriptor: int, tries: int = LOCK_TRIES) -> bool:
    for left in reversed(range(tries)):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(LOCK_AGAIN_AFTER_S if left else 0)
        else:
            return True
    return False


def _holds(pid: int, lock: os.stat_result) -> bool:
    """Whether one of its descriptors is that file, and locked."""
    try:
        return any(_is_held(pid, held.name, lock) for held in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:  # it has ended, or is not ours to look into
        return False


def _is_held(pid: int, descriptor: str, lock: os.stat_result) -> bool:
    try:
        same = os.path.samestat(Path(f"/proc/{pid}/fd/{descriptor}").stat(), lock)
        return same and "FLOCK" in Path(f"/proc/{pid}/fdinfo/{descriptor}").read_text()
    except OSError:  # closed meanwhile
        return False
