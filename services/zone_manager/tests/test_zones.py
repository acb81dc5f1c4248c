"""What a zone is, and when hosts may be placed in it."""

from typing import Any

import pytest
from contracts.hosts import FindHosts
from contracts.zones import ChangeZone, ZoneStatus
from hypothesis import given
from hypothesis import strategies as st
from zone_manager.zones import changes, definition, hosts_for, reason_against_hosts, stored_score

from services.zone_manager.tests.examples import put_zone, zone


@pytest.mark.parametrize(
    "sent, stored",
    [(0, 0), (0.99, 0.99), (1, 10), (5, 50), (7.5, 75), (9.99, 99.9), (10, 10), (50, 50), (100, 100)],
)
def test_a_minimum_score_from_1_to_10_is_on_the_old_scale(sent: float, stored: float):
    assert stored_score(sent) == pytest.approx(stored)


@given(st.floats(0, 100))
def test_a_stored_score_is_on_our_scale_and_stays_what_it_is(sent: float):
    stored = stored_score(sent)
    assert 0 <= stored <= 100
    assert stored_score(stored) == stored


def test_a_definition_has_every_field_but_what_is_ours():
    fields = definition(put_zone(min_host_quality_score=7))
    assert fields["min_host_quality_score"] == 70
    assert (fields["max_players"], fields["description"], fields["regions"]) == (100, None, [])
    assert "status" not in fields


@pytest.mark.parametrize(
    "sent, changed",
    [
        ({}, {}),
        ({"max_players": 100}, {"max_players": 100}),
        ({"description": None}, {"description": None}),
        ({"min_host_quality_score": 6.5}, {"min_host_quality_score": 65.0}),
        ({"status": "maintenance", "regions": ["eu"]}, {"status": "maintenance", "regions": ["eu"]}),
    ],
)
def test_a_change_touches_the_fields_that_were_sent(sent: dict[str, Any], changed: dict[str, object]):
    assert changes(ChangeZone.model_validate({"zone_id": "prontera"} | sent)) == changed


@pytest.mark.parametrize(
    "fields, p2p_allowed, why",
    [
        ({}, True, None),
        ({}, False, "peer-to-peer is switched off for every zone (ENABLE_P2P)"),
        ({"status": ZoneStatus.DISABLED}, True, "the zone is disabled"),
        ({"status": ZoneStatus.MAINTENANCE}, True, "the zone is in maintenance"),
        ({"p2p_enabled": False}, True, "the zone is served by the central server only"),
    ],
)
def test_hosts_may_be_placed_in_an_enabled_zone_that_allows_them(
    fields: dict[str, Any], p2p_allowed: bool, why: str | None
):
    assert reason_against_hosts(zone(**fields), p2p_allowed=p2p_allowed) == why


def test_hosts_are_searched_by_what_the_zone_demands():
    demanding = zone(min_host_quality_score=60, min_bandwidth_mbps=200, max_latency_ms=80, regions=("eu",))
    assert hosts_for(demanding, seats=3, limit=8) == FindHosts(
        seats=3, min_quality_score=60, min_bandwidth_mbps=200, max_latency_ms=80, regions=("eu",), limit=8
    )


@pytest.mark.parametrize("asked, minimum", [(0, 60), (40, 60), (80, 80)])
def test_a_caller_can_raise_the_minimum_score_but_not_lower_it(asked: float, minimum: float):
    question = hosts_for(zone(min_host_quality_score=60), seats=1, limit=8, min_quality_score=asked)
    assert question.min_quality_score == minimum
