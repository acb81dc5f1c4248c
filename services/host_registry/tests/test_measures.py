"""What measurements are worth: which of them count, and how they age."""

from datetime import UTC, datetime, timedelta

import pytest
from host_registry.measures import Reading, Weighed, certainty, weigh
from hypothesis import given
from hypothesis import strategies as st

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def ago(minutes: float) -> datetime:
    return NOON - minutes * MINUTE


readings = st.none() | st.builds(
    Reading,
    latency_ms=st.none() | st.floats(0, 1e9),
    packet_loss_percent=st.none() | st.floats(0, 100),
    at=st.integers(-60, 3 * 3600).map(lambda seconds: NOON - timedelta(seconds=seconds)),
)
waits = st.integers(0, 3 * 3600).map(lambda seconds: timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("minutes", "believed"),
    [(-1, 1.0), (0, 1.0), (9.99, 1.0), (10, 0.9), (14.99, 0.9), (15, 0.8), (35, 0.4), (40, 0.3), (1e6, 0.3)],
)
def test_a_measurement_is_believed_in_full_for_ten_minutes_and_a_tenth_less_every_five(
    minutes: float, believed: float
) -> None:
    assert certainty(minutes * MINUTE) == believed


@pytest.mark.parametrize(
    ("probe", "players", "weighed"),
    [
        (Reading(200, 1, NOON), None, Weighed(200, 1, NOON, 1.0, NOON + 10 * MINUTE)),
        (None, Reading(50, 2, NOON), Weighed(50, 2, NOON, 1.0, NOON + 10 * MINUTE)),
        (Reading(200, 1, ago(4)), Reading(50, 2, NOON), Weighed(200, 1, ago(4), 1.0, NOON + 6 * MINUTE)),
        (Reading(200, 1, ago(13)), Reading(50, 2, NOON), Weighed(200, 1, ago(13), 0.9, NOON + 2 * MINUTE)),
        (Reading(200, 1, ago(15)), Reading(50, 2, NOON), Weighed(50, 2, NOON, 1.0, NOON + 10 * MINUTE)),
        (Reading(200, 1, ago(16)), Reading(50, 2, ago(60)), Weighed(200, 1, ago(16), 0.8, NOON + 4 * MINUTE)),
        (Reading(200, None, ago(1)), Reading(50, 2, ago(9)), Weighed(200, 2, ago(1), 1.0, NOON + 9 * MINUTE)),
        (Reading(200, 1, ago(20)), Reading(None, 2, NOON), Weighed(200, 2, NOON, 1.0, NOON + 10 * MINUTE)),
        (Reading(200, 1, ago(60)), Reading(50, 2, ago(40)), Weighed(50, 2, ago(40), 0.3, None)),
    ],
    ids=[
        "a probe alone",
        "players alone",
        "a probe outweighs players",
        "until it is 15 minutes old",
        "then players count",
        "unless they told it before the probe",
        "what the probe did not tell players may have",
        "and the other way round",
        "what is old stays, and changes no more",
    ],
)
def test_what_counts(probe: Reading | None, players: Reading | None, weighed: Weighed) -> None:
    assert weigh(probe, players, NOON) == weighed


def test_nothing_measured_is_nothing() -> None:
    assert weigh(None, None, NOON) is None


@given(readings, readings, waits)
def test_what_counts_stays_so_until_it_is_said_to_change(
    probe: Reading | None, players: Reading | None, later: timedelta
) -> None:
    weighed = weigh(probe, players, NOON)
    if weighed is not None and (weighed.until is None or NOON + later < weighed.until):
        assert weigh(probe, players, NOON + later) == weighed


@given(readings, readings)
def test_the_next_change_lies_ahead(probe: Reading | None, players: Reading | None) -> None:
    weighed = weigh(probe, players, NOON)
    assert weighed is None or weighed.until is None or weighed.until > NOON


@given(waits, waits)
def test_what_is_older_is_never_believed_more(age: timedelta, more: timedelta) -> None:
    assert certainty(age + more) <= certainty(age)
