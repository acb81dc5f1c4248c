"""What speaks against a host."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from contracts.hosts import HostStatus, Rejection
from host_registry.eligibility import Bounds, Contender, by_merit, reasons_against
from host_registry.score import Quality

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
FRESH = NOON - timedelta(seconds=20)

QUALITY = Quality(
    latency_ms=40,
    packet_loss_percent=0,
    current_players=10,
    max_players=50,
    cpu_cores=8,
    memory_mb=16384,
    speed_mbps=100,
)
HOST = Contender(
    host_id="host-1",
    no=1,
    status=HostStatus.ONLINE,
    last_beat=NOON,
    seats_taken=49,
    slots_taken=4,
    max_zones=5,
    region="eu",
    connected=False,
    score=80.0,
    confidence=0.3,
    quality=QUALITY,
)
BOUNDS = Bounds(
    seats=1,
    min_score=80,
    min_bandwidth_mbps=100,
    max_latency_ms=40,
    regions=("eu", "us"),
    heard_after=FRESH,
)


def test_a_host_that_just_meets_every_bound_is_able() -> None:
    assert reasons_against(HOST, BOUNDS) == ()


@pytest.mark.parametrize(
    ("host", "bounds", "reason"),
    [
        (replace(HOST, status=HostStatus.SUSPECT), BOUNDS, Rejection.NOT_ONLINE),
        (replace(HOST, status=HostStatus.OFFLINE), BOUNDS, Rejection.NOT_ONLINE),
        (replace(HOST, status=HostStatus.BUSY), BOUNDS, Rejection.NOT_ONLINE),
        (replace(HOST, status=HostStatus.MAINTENANCE), BOUNDS, Rejection.NOT_ONLINE),
        (replace(HOST, status=HostStatus.DRAINING), BOUNDS, Rejection.DRAINING),
        (replace(HOST, last_beat=FRESH), BOUNDS, Rejection.BEAT_STALE),
        (replace(HOST, seats_taken=50), BOUNDS, Rejection.HOST_FULL),
        (HOST, replace(BOUNDS, seats=2), Rejection.HOST_FULL),
        (replace(HOST, seats_taken=50), replace(BOUNDS, seats=0), Rejection.HOST_FULL),
        (replace(HOST, slots_taken=5), BOUNDS, Rejection.NO_ZONE_SLOT),
        (replace(HOST, score=79.99), BOUNDS, Rejection.SCORE_TOO_LOW),
        (replace(HOST, quality=replace(QUALITY, speed_mbps=None)), BOUNDS, Rejection.BANDWIDTH_UNKNOWN),
        (replace(HOST, quality=replace(QUALITY, speed_mbps=99)), BOUNDS, Rejection.BANDWIDTH_TOO_LOW),
        (replace(HOST, quality=replace(QUALITY, latency_ms=40.1)), BOUNDS, Rejection.LATENCY_TOO_HIGH),
        (replace(HOST, region="asia"), BOUNDS, Rejection.REGION_NOT_ALLOWED),
        (replace(HOST, region=None), BOUNDS, Rejection.REGION_NOT_ALLOWED),
        (HOST, replace(BOUNDS, exclude=frozenset({"host-1"})), Rejection.EXCLUDED),
    ],
)
def test_each_bound_that_is_missed_has_its_one_code(host: Contender, bounds: Bounds, reason: Rejection) -> None:
    assert reasons_against(host, bounds) == (reason,)


@pytest.mark.parametrize(
    ("host", "bounds"),
    [
        (replace(HOST, quality=replace(QUALITY, latency_ms=None)), BOUNDS),
        (replace(HOST, quality=replace(QUALITY, speed_mbps=None)), replace(BOUNDS, min_bandwidth_mbps=0)),
        (replace(HOST, region=None), replace(BOUNDS, regions=())),
    ],
    ids=["unknown latency is probation", "no bandwidth asked for", "any region"],
)
def test_what_is_unknown_or_not_asked_for_is_no_reason(host: Contender, bounds: Bounds) -> None:
    assert reasons_against(host, bounds) == ()


def test_every_reason_is_given_not_just_the_first() -> None:
    hopeless = replace(HOST, status=HostStatus.OFFLINE, score=1.0, slots_taken=9)
    assert reasons_against(hopeless, BOUNDS) == (
        Rejection.NOT_ONLINE,
        Rejection.NO_ZONE_SLOT,
        Rejection.SCORE_TOO_LOW,
    )


@pytest.mark.parametrize(
    "worse",
    [
        replace(HOST, connected=False, score=100.0, confidence=1.0),
        replace(HOST, connected=True, score=70.0),
        replace(HOST, connected=True, score=90.0, confidence=0.2),
        replace(HOST, connected=True, seats_taken=50),
        replace(HOST, connected=True, no=2),
    ],
    ids=["signaling socket before all", "score", "certainty before score", "room", "who came first"],
)
def test_the_better_host_comes_first(worse: Contender) -> None:
    best = replace(HOST, connected=True)
    assert sorted([worse, best], key=by_merit) == [best, worse]
