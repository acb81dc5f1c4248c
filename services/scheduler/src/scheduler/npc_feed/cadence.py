"""When a zone's feed is due: pure.

Each zone has a place of its own in the interval, by its name, so that thousands do not come at once.
"""

from zlib import crc32

TERM_BITS = 20
"""A term is a revision of the lease's bucket, about one more each second: 2^33 of them are 270 years, and 2^53 is what
JavaScript counts to. The rest is for the messages of one zone in one term. A term that lasts has renewals, so the next
one is greater by as many: a zone would have to tell a million messages in a second to reach it."""


def first_number(term: int) -> int:
    """The number that a leader's first message of any zone has: greater than any of a leader before."""
    return term << TERM_BITS


def turn(zone_id: str, interval: float, now: float) -> int:
    """How many times the zone has been due since the epoch; the feed is due when this has grown."""
    phase = crc32(zone_id.encode()) / 2**32 * interval
    return int((now - phase) // interval)
