"""How many examples tests of laws try: a few each time, `SOAK` times as many where time is no matter (`make soak`).

A failed example is printed with the line that brings it back (`@reproduce_failure`).
"""

import os

from hypothesis import HealthCheck, settings

SOAK = float(os.environ.get("SOAK", "1"))


def examples(number: int) -> int:
    """Give how many to try, of so many each time."""
    return round(number * SOAK)


PROFILE = "p2p"
settings.register_profile(
    PROFILE,
    max_examples=examples(50),
    print_blob=True,
    # Its own deadlines, of an example and of making it, are a fast machine's.
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
