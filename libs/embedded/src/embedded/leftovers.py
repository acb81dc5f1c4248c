"""Programs that outlived their supervisor: found by the record it left, told from others by their birth, stopped."""

import contextlib
import signal

import psutil

from embedded.record import Record

STOP_WITHIN_S = 5.0
"""They were told by the kernel when their supervisor died; what is still here hangs."""


def stop_leftovers(record: Record) -> int:
    """Stop what is left of a suite whose supervisor is gone, and count it; blocks until it is gone."""
    left = [process for pid in record.pids() if (process := pid.process()) is not None]
    for process in left:
        # PostgreSQL takes SIGTERM for "wait until everybody has gone", SIGINT for "stop".
        _send(process, signal.SIGINT if _name(process) == "postgres" else signal.SIGTERM)
    end(left)
    return len(left)


def end(left: list[psutil.Process]) -> None:
    """Wait until these have ended, who were told to; kill who has not in time."""
    _, alive = psutil.wait_procs(left, timeout=STOP_WITHIN_S)
    for process in alive:
        _send(process, signal.SIGKILL)
    psutil.wait_procs(alive)


def _name(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.name()
    return ""


def _send(process: psutil.Process, number: signal.Signals) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)
