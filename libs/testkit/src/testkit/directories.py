"""Where the servers of tests keep their data: in memory where there is room, for all tests wait on one disk."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

IN_MEMORY = Path("/dev/shm")  # noqa: S108 -- a directory of a random name is made in it

ROOM_BYTES = 4 << 30
"""Four workers have a set of servers and a suite or two each, 100 to 200 MB apiece."""


@contextmanager
def data_directory(prefix: str) -> Iterator[Path]:
    """Make an empty directory that goes with the block."""
    there = IN_MEMORY.is_dir() and shutil.disk_usage(IN_MEMORY).free > ROOM_BYTES
    with tempfile.TemporaryDirectory(
        prefix=prefix, dir=IN_MEMORY if there else None, ignore_cleanup_errors=True
    ) as directory:
        yield Path(directory)
