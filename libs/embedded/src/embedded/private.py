"""Files that only their owner may read (0600), in a directory that only their owner may enter (0700)."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from embedded.errors import EmbeddedError


def private_directory(path: Path) -> Path:
    """Make it, or close it to others."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)
    return path


def write_private(path: Path, text: str) -> None:
    """Replace the file as a whole: a reader, and a crash, leaves the old one or the new one."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.unlink(missing_ok=True)
    write_new_private(partial, text)
    partial.replace(path)


def write_new_private(path: Path, text: str) -> None:
    """Write a file that is not there yet; EmbeddedError when it is."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise EmbeddedError(f"{path} is there already; name another file, or remove it first") from None
    except OSError as error:
        raise EmbeddedError(f"{path} cannot be written: {error.strerror}") from error
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)  # else a crash of the machine may leave the new name and nothing in it


def kept(path: Path, make: Callable[[], str]) -> str:
    """Give the file's text; the first time, what `make` makes."""
    if not path.exists():
        write_private(path, make())
    return path.read_text()


@contextmanager
def held(directory: Path) -> Iterator[None]:
    """Nobody else who asks changes what is in it meanwhile."""
    with (directory / ".lock").open("w") as lock:
        os.fchmod(lock.fileno(), 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
