"""Who may lead, and until when."""

from datetime import timedelta

import pytest
from scheduler.lease import Hold, Record, Sight, look_every, may_take, seen

LEASE = timedelta(seconds=3)


def record(revision: int = 7, holder: str | None = "scheduler-1") -> Record:
    return Record(revision, holder, "process-1", term=5)


@pytest.mark.parametrize("later, valid", [(0.0, True), (2.4, True), (2.5, False), (60.0, False)])
def test_a_hold_ends_half_a_second_before_the_lease(later: float, valid: bool):
    assert Hold(term=5, asked_at=100.0).valid(LEASE, 100.0 + later) is valid


@pytest.mark.parametrize("later, fresh", [(0.0, True), (0.9, True), (1.0, False)])
def test_a_hold_is_renewed_three_times_a_lease(later: float, fresh: bool):
    assert Hold(term=5, asked_at=100.0).fresh(LEASE, 100.0 + later) is fresh


@pytest.mark.parametrize(
    "why, holder, later, free",
    [
        ("somebody has just renewed it", "scheduler-1", 0.0, False),
        ("it may still be renewed", "scheduler-1", 2.9, False),
        ("it was left to lie for a lease", "scheduler-1", 3.0, True),
        ("it was given up", None, 0.0, True),
    ],
)
def test_the_lease_of_another_may_be_taken(why: str, holder: str | None, later: float, free: bool):
    assert may_take(Sight(record(holder=holder), since=100.0), LEASE, 100.0 + later) is free


def test_a_renewal_starts_the_waiting_anew():
    first = seen(None, record(revision=7), now=100.0)
    again = seen(first, record(revision=7), now=101.0)
    renewed = seen(again, record(revision=8), now=102.0)
    assert (first.since, again.since, renewed.since) == (100.0, 100.0, 102.0)


def test_the_others_look_four_times_a_second():
    assert look_every(LEASE) == timedelta(seconds=0.25)
