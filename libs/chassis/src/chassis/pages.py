"""Where a page of a list ends: at what one reply may hold."""

from collections.abc import Iterable

PAGE_BYTES = 480 * 1024
"""No reply exceeds 512 KiB; the rest is for what surrounds the items."""


def fitting(items: Iterable[bytes]) -> list[bytes]:
    """Give those from the start that fit one page; the first in any case, or no page would ever come past it."""
    fit: list[bytes] = []
    room = PAGE_BYTES
    for item in items:
        room -= len(item) + 1  # and a comma
        if room < 0 and fit:
            break
        fit.append(item)
    return fit
