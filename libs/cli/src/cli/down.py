"""`p2p down`: stops the suite that runs on a data directory."""

import signal

import psutil
from embedded.leftovers import stop_leftovers
from embedded.record import DataDir

from cli.options import DEFAULT_DATA_DIR, DataDirOption

STOP_WITHIN_S = 90.0
"""Four waves of services and the servers, each with 15 s to finish what it has begun."""


def down(data_dir: DataDirOption = DEFAULT_DATA_DIR) -> None:
    """Stop the services, then the servers; the data stays."""
    directory = DataDir(data_dir.resolve())
    record = directory.read()
    if record is None:
        print(f"nothing runs on {data_dir}")
        return
    supervisor = record.supervisor.process()
    if supervisor is not None:
        supervisor.send_signal(signal.SIGTERM)
        try:
            supervisor.wait(STOP_WITHIN_S)
        except psutil.TimeoutExpired:
            supervisor.kill()
    # None, unless the supervisor was killed. Read anew: it may have restarted one meanwhile.
    left = stop_leftovers(directory.read() or record)
    print(f"stopped what ran on {data_dir}" if supervisor or left else f"nothing runs on {data_dir}")
