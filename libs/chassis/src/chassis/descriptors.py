"""How many files and connections this process may have open: as many as it is let, and said aloud when they run out.

Without a word the kernel resets whoever connects next, a question for our health among them.
"""

import asyncio
import resource
import time
from pathlib import Path

import structlog

log = structlog.stdlib.get_logger()

RESERVE = 32
"""For what we open ourselves: connections to the database, NATS and Redis, and the files of a moment."""

LOOK_EVERY_S = 1.0

COMPLAIN_EVERY_S = 60.0

OPEN = Path("/proc/self/fd")


def raise_limit() -> None:
    """Take all that we may have: shells start programs with 1,024, for the sake of some that count in bits."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def enough() -> bool:
    """Whether some are left beside those that we need ourselves."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return True
    try:
        return sum(1 for _ in OPEN.iterdir()) + RESERVE <= limit
    except OSError:  # there is none to count them with
        return False


async def watching() -> None:
    """Say it when they run out, and from time to time while they are out."""
    complained_at = -COMPLAIN_EVERY_S
    while True:
        now = time.monotonic()
        if not enough() and now - complained_at >= COMPLAIN_EVERY_S:
            limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
            log.error("descriptors.running_out", limit=limit, remedy="LimitNOFILE=, or `ulimit -n`, before the start")
            complained_at = now
        await asyncio.sleep(LOOK_EVERY_S)
