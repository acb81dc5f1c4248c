"""How long tests wait: every deadline of a test is made here, and stretched by the environment's `PATIENCE`.

A deadline of a test says when something is not going to happen any more, never how fast it is. `PATIENCE` is 1 on a
machine of one's own; where other work takes the processor, as in CI, it is 3.
"""

import asyncio
import os

PATIENCE = float(os.environ.get("PATIENCE", "1"))


def patient(seconds: float) -> float:
    """Stretch a wait of so many seconds, for whoever takes a number."""
    return seconds * PATIENCE


def within(seconds: float) -> asyncio.Timeout:
    """Let an `async with` block take so many seconds, stretched; TimeoutError when it does not end."""
    return asyncio.timeout(patient(seconds))
