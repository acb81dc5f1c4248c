"""New identifiers that nobody else has, in the order of their making."""

import os
import time
from uuid import UUID

_RANDOM_BYTES = 10


def new_event_id() -> str:
    """Make a UUIDv7: 48 bits of milliseconds, the rest random, so rows and streams stay in order."""
    milliseconds = time.time_ns() // 1_000_000
    number = (milliseconds << 80) | int.from_bytes(os.urandom(_RANDOM_BYTES), "big")
    number = number & ~(0xF << 76) | (7 << 76)  # version
    number = number & ~(0x3 << 62) | (2 << 62)  # variant
    return str(UUID(int=number))
