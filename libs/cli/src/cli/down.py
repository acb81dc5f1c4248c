"""`p2p down`: stops the suite that runs on a data directory."""

import signal
from pathlib import Path

import psutil
from embedded.errors import StillRunningError
from embedded.leftovers import stop_leftovers
from embedded.record import DataDir

from cli.options import DEFAULT_DATA_DIR, DataDirOption

STOP_WITHIN_S = 90.0
"""Four waves of services and the servers, each with 15 s to finish what it has begun."""


def down(data_dir: DataDirOption = DEFAULT_DATA_DIR) -> None:
    """Stop the services, then the servers; the data stays."""
    directory = DataDir(data_dir.resolve())
    record = directory.read()
    # A record may be lost or wrong; the lock never is.
    held = directory.is_held()
    supervisor = (record.supervisor.process() if record else None) or (directory.holder() if held else None)
    if supervisor is not None:
        _stop(supervisor, data_dir)
    # None, unless the supervisor was killed. Read anew: it may have restarted one meanwhile.
    last = directory.read() or record
    left = stop_leftovers(last) if last else 0
    if directory.is_held():
        raise StillRunningError(data_dir, "who runs it is not to be found; stop it as the user that has started it")
    print(f"stopped what ran on {data_dir}" if supervisor or left else f"nothing runs on {data_dir}")


stop = down
"""The word that others have for it."""


def _stop(supervisor: psutil.Process, data_dir: Path) -> None:
    try:
        supervisor.send_signal(signal.SIGTERM)
        try:
            supervisor.wait(STOP_WITHIN_S)
        except psutil.TimeoutExpired:
            supervisor.kill()
            supervisor.wait()
    except psutil.NoSuchProcess:
        return
    except psutil.AccessDenied:
        why = f"pid {supervisor.pid} is another user's; stop it as that user, or as root"
        raise StillRunningError(data_dir, why) from None
