"""Rules: round trips and losses, and how long to wait before trying again."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sdk.backoff import Backoff
from sdk.round_trips import LOST_AFTER_S, RoundTrips


def test_nothing_is_claimed_before_the_first_answer():
    trips = RoundTrips()
    trips.sent(0.0)
    assert (trips.smoothed_ms, trips.loss_percent) == (None, None)


def test_the_first_answer_is_the_round_trip_and_later_ones_smooth_it():
    trips = RoundTrips()
    trips.answered(trips.sent(0.0), 0.040)
    assert trips.smoothed_ms == pytest.approx(40)
    trips.answered(trips.sent(1.0), 1.120)
    assert trips.smoothed_ms == pytest.approx(40 + (120 - 40) / 8)


def test_a_ping_without_answer_is_lost_once_it_waited_too_long():
    trips = RoundTrips()
    trips.answered(trips.sent(0.0), 0.01)
    late = trips.sent(1.0)
    trips.sent(1.1 + LOST_AFTER_S)
    assert trips.loss_percent == 50
    trips.answered(late, 9.0)
    assert trips.loss_percent == 50


def test_answers_that_nobody_asked_for_change_nothing():
    trips = RoundTrips()
    number = trips.sent(0.0)
    trips.answered(number + 1, 0.01)
    trips.answered(number, 0.02)
    trips.answered(number, 5.0)
    assert trips.smoothed_ms == pytest.approx(20)
    assert trips.loss_percent == 0


@given(st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_waits_grow_to_a_bound_and_never_vanish(attempt, chance):
    backoff = Backoff(first=timedelta(milliseconds=100), longest=timedelta(seconds=5))
    assert timedelta(milliseconds=50) <= backoff.delay(attempt, chance) <= timedelta(seconds=5)
    assert backoff.delay(attempt, chance) <= backoff.delay(attempt + 1, chance)
