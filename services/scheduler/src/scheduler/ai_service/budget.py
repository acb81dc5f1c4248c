"""How many requests an AI service may still be asked, whoever asked before: pure.

A request is reserved before it is made, and counts from then for as long as the service may count it: its own minute,
and the time that passes at most between the reservation and the request's arrival. What is kept are the ages of the
reservations, not their times: no two clocks are ever compared. Who reads it takes them for as old as they were when
they were written, or younger than they are, so a new leader asks too little rather than too much.
"""

from collections.abc import Sequence
from math import floor

from pydantic import BaseModel, ConfigDict, Field, ValidationError

MINUTE_S = 60.0

USED_WITHIN_S = 1.0
"""From a reservation to its request; one that comes later, because the process was stopped, is not made."""

ANSWERED_WITHIN_S = 3.0
"""A request that is not over by then is given up: an AI service that computes its answers is slow, not that slow."""

COUNTS_FOR_S = USED_WITHIN_S + ANSWERED_WITHIN_S + MINUTE_S
"""So in any minute, wherever it begins, the service is asked no more often than is reserved in this time."""


class _Ages(BaseModel):
    """The record, in JSON: how old each reservation was when it was written, in seconds."""

    model_config = ConfigDict(allow_inf_nan=False)

    ages: tuple[float, ...] = Field(max_length=100_000)


def counting(reserved: Sequence[float], now: float) -> tuple[float, ...]:
    """Give the reservations that still count."""
    return tuple(moment for moment in reserved if now - moment < COUNTS_FOR_S)


def pace(limit: int) -> float:
    """Seconds between requests that are spread evenly."""
    return COUNTS_FOR_S / limit


def written(reserved: Sequence[float], now: float) -> bytes:
    """Write it down; ages are rounded to younger."""
    return _Ages(ages=tuple(floor((now - moment) * 1000) / 1000 for moment in reserved)).model_dump_json().encode()


def read(value: bytes, now: float, limit: int) -> tuple[float, ...]:
    """Give the reservations as moments of the reader's clock; what was not written by us counts as all spent."""
    try:
        ages = _Ages.model_validate_json(value).ages
    except ValidationError:
        return (now,) * limit
    return tuple(now - max(0.0, age) for age in ages)
