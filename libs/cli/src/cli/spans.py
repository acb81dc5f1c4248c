"""Spans of time, as people say them."""

from math import inf

SCALES = ((1, 0.001, "ms"), (120, 1, "s"), (7200, 60, "min"), (inf, 3600, "h"))
"""Up to how many seconds a unit is used, how many seconds it is, and its name: two of it are said in it."""


def in_words(seconds: float) -> str:
    """Say a span in one unit; a negative one, of clocks that differ, is none."""
    span = max(0.0, seconds)
    unit, name = next((unit, name) for below, unit, name in SCALES if span < below)
    return f"{round(span / unit, 1):g} {name}"
