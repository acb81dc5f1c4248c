"""When a session is unwell, and what becomes of it then, as tables."""

from datetime import timedelta

import pytest
from contracts.sessions import SessionStatus
from session_manager.health import Bounds, Complaint, Condition, Fallen, complaint, distrusts
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
    assert complaint(Condition(latency, loss, connected, unconnected), BOUNDS) is what


@pytest.mark.parametrize(
    ("status", "policy", "allowed", "target"),
    [
        (SessionStatus.ACTIVE, UNLESS_SAID, True, SessionStatus.FALLBACK),
        (SessionStatus.ACTIVE, UNLESS_SAID, False, SessionStatus.FAILED),
        (SessionStatus.ACTIVE, STERN, True, SessionStatus.FAILED),
        (SessionStatus.PENDING, UNLESS_SAID, True, SessionStatus.FAILED),
    ],
)
def test_a_session_without_a_host_falls_back_where_its_zone_says_so(status, policy, allowed, target):
    assert without_host(status, policy, fallback_allowed=allowed) is target


@pytest.mark.parametrize(
    ("reason", "later", "host"),
    [
        ("host_lost", timedelta(0), None),
        ("latency", MINUTE / 2, "bad"),
        ("packet_loss", MINUTE / 2, "bad"),
        ("unconnected", MINUTE / 2, "bad"),
        ("latency", MINUTE, None),
    ],
)
def test_a_host_that_was_bad_is_distrusted_for_a_while(reason, later, host):
    assert distrusts(Fallen("bad", reason, NOON), NOON + later, MINUTE) == host
