"""What measurements of a host are worth: which of them count, and how they age."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

PROBE_OUTWEIGHS_FOR = timedelta(minutes=15)
"""Three rounds: a probe is taken the same way everywhere. After that whoever measured last knows best."""

FRESH_FOR = timedelta(minutes=10)
"""Two probe intervals: one probe may be missed."""

STEP_EVERY = timedelta(minutes=5)
STEP = 0.1
LEAST_CERTAINTY = 0.3
"""What a host's own word is worth. The figure itself stays: it is older, but nobody who gains by it said it."""

REMEMBERED = 0.8
"""Of the share of failed connections after each further one: ten leave a tenth of what was."""

PROBE_MISSES = 3
"""In a row, until a host is left alone: a restart explains one or two."""

REST = timedelta(hours=1)
"""For a host that no probe reaches: its network has to change first."""

UPLOAD_AGAIN = 0.25
"""Of the time between uploads, when one could not be told: its MiB is on a line that is far, or busy with players."""

CLAIMED_FOR = timedelta(seconds=60)
"""A probe takes seconds; a prober that died is known to be dead after a minute."""


class Reading(NamedTuple):
    """What one source measured, and when."""

    latency_ms: float | None
    packet_loss_percent: float | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Weighed:
    """What counts now, and when that changes by age alone (None: never)."""

    latency_ms: float | None
    packet_loss_percent: float | None
    measured_at: datetime
    certainty: float
    until: datetime | None


def weigh(probe: Reading | None, players: Reading | None, now: datetime) -> Weighed | None:
    """Weigh what was measured against each other; None when nothing was."""
    readings = sorted(filter(None, (probe, players)), key=lambda reading: reading.at, reverse=True)
    if not readings:
        return None
    changes = []
    if probe is not None and now < probe.at + PROBE_OUTWEIGHS_FOR:
        readings.sort(key=lambda reading: reading is not probe)
        changes.append(probe.at + PROBE_OUTWEIGHS_FOR)
    first = readings[0]
    return Weighed(
        latency_ms=_first(reading.latency_ms for reading in readings),
        packet_loss_percent=_first(reading.packet_loss_percent for reading in readings),
        measured_at=first.at,
        certainty=certainty(now - first.at),
        until=min([*changes, *_next_step(first.at, now)], default=None),
    )


def certainty(age: timedelta) -> float:
    """How far a measurement of this age is believed, 0.3 to 1."""
    return max(LEAST_CERTAINTY, round(1 - STEP * _steps(age), 1))


def _steps(age: timedelta) -> int:
    return 0 if age < FRESH_FOR else (age - FRESH_FOR) // STEP_EVERY + 1


def _next_step(at: datetime, now: datetime) -> list[datetime]:
    if certainty(now - at) == LEAST_CERTAINTY:
        return []
    return [at + FRESH_FOR + _steps(now - at) * STEP_EVERY]


def _first(figures: Iterable[float | None]) -> float | None:
    return next((figure for figure in figures if figure is not None), None)
