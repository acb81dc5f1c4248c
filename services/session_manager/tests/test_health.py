"""When a session is unwell, and what becomes of it then, as tables."""

from datetime import timedelta

import pytest
from contracts.sessions import SessionStatus
from session_manager.health import (
    MOST_DISTRUST,
    Bounds,
    Complaint,
    Condition,
    Left,
    complaint,
    distrust,
    distrusts,
    times_left,
)
from session_manager.policies import UNLESS_SAID, ZonePolicy, without_host

from services.session_manager.tests.facts import NOON

BOUNDS = Bounds(max_latency_ms=100, most_loss_percent=10)
STERN = ZonePolicy(fallback_enabled=False, fallback_endpoint="there", max_latency_ms=100)
MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("latency", "loss", "connected", "unconnected", "what"),
    [
        (None, None, 0, 0, None),
        (100, 10, 3, 0, None),
        (100.1, None, 0, 0, Complaint.LATENCY),
        (None, 10.1, 0, 0, Complaint.PACKET_LOSS),
        (500, 50, 0, 0, Complaint.PACKET_LOSS),
        (None, None, 1, 1, None),
        (None, None, 1, 2, Complaint.UNCONNECTED),
        (None, None, 0, 1, Complaint.UNCONNECTED),
        (500, 50, 0, 1, Complaint.UNCONNECTED),
    ],
)
def test_a_session_is_unwell_beyond_its_bounds(latency, loss, connected, unconnected, what):
    condition = Condition(
        players=connected + unconnected,
        latency_ms=latency,
        packet_loss_percent=loss,
        players_connected=connected,
        players_unconnected=unconnected,
    )
    assert complaint(condition, BOUNDS) is what


@pytest.mark.parametrize("complaining", ["players_slow", "players_losing", "players_unconnected"])
@pytest.mark.parametrize(
    ("players", "how_many", "unwell"), [(21, 1, False), (20, 10, False), (20, 11, True), (1, 1, True)]
)
def test_players_move_a_session_where_most_of_those_seated_complain(complaining, players, how_many, unwell):
    condition = Condition(players=players, **{complaining: how_many})
    assert (complaint(condition, BOUNDS) is not None) is unwell


@pytest.mark.parametrize(
    ("status", "policy", "zone_open", "allowed", "target"),
    [
        (SessionStatus.ACTIVE, UNLESS_SAID, False, True, SessionStatus.FALLBACK),
        (SessionStatus.ACTIVE, UNLESS_SAID, False, False, SessionStatus.FAILED),
        (SessionStatus.ACTIVE, STERN, False, True, SessionStatus.FAILED),
        (SessionStatus.ACTIVE, STERN, True, False, SessionStatus.MIGRATING),
        (SessionStatus.PENDING, UNLESS_SAID, True, True, SessionStatus.FAILED),
    ],
)
def test_a_session_without_a_host_gets_another_or_does_what_its_zone_says(status, policy, zone_open, allowed, target):
    assert without_host(status, policy, zone_open=zone_open, fallback_allowed=allowed) is target


@pytest.mark.parametrize(
    ("times", "away_for"),
    [(1, MINUTE), (2, 2 * MINUTE), (5, 16 * MINUTE), (7, MOST_DISTRUST), (10_000, MOST_DISTRUST)],
)
def test_a_host_that_was_left_is_distrusted_for_twice_as_long_each_time(times, away_for):
    left = Left("bad", times, NOON)
    assert distrusts(left, NOON + away_for - timedelta(seconds=1), MINUTE)
    assert not distrusts(left, NOON + away_for, MINUTE)


def test_a_setting_longer_than_the_most_distrust_is_kept_to():
    assert distrust(1, 2 * MOST_DISTRUST) == distrust(9, 2 * MOST_DISTRUST) == 2 * MOST_DISTRUST


def test_what_is_long_ago_is_not_in_a_row():
    assert times_left(None, NOON) == 1
    assert times_left(Left("bad", 3, NOON), NOON + 2 * MOST_DISTRUST) == 4
    assert times_left(Left("bad", 3, NOON), NOON + 2 * MOST_DISTRUST + MINUTE) == 1
