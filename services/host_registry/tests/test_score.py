"""What a host's score is made of."""

from dataclasses import replace

import pytest
from host_registry.score import Quality, points, score, score_parts
from hypothesis import given
from hypothesis import strategies as st

DOCUMENTED = Quality(
    latency_ms=10,
    packet_loss_percent=0,
    current_players=1,
    max_players=50,
    cpu_cores=8,
    memory_mb=16384,
    speed_mbps=1000,
)
NOTHING_KNOWN = Quality(None, None, 0, 50, None, None, None)

qualities = st.builds(
    Quality,
    latency_ms=st.none() | st.floats(0, 1e9),
    packet_loss_percent=st.none() | st.floats(0, 100),
    current_players=st.integers(0, 2**31 - 1),
    max_players=st.integers(1, 1_000_000),
    cpu_cores=st.none() | st.integers(1, 2**31 - 1),
    memory_mb=st.none() | st.integers(1, 2**31 - 1),
    speed_mbps=st.none() | st.integers(1, 2**31 - 1) | st.floats(0, 20),
)


@pytest.mark.parametrize(
    ("quality", "expected"),
    [
        (DOCUMENTED, 98.50),
        (NOTHING_KNOWN, 50.0),
        (replace(DOCUMENTED, latency_ms=None), 84.50),
        (replace(DOCUMENTED, packet_loss_percent=None), 88.50),
        (replace(DOCUMENTED, latency_ms=300), 69.50),
        (replace(DOCUMENTED, latency_ms=5000), 69.50),
        (replace(DOCUMENTED, packet_loss_percent=2.5), 93.50),
        (replace(DOCUMENTED, packet_loss_percent=50), 78.50),
        (replace(DOCUMENTED, current_players=50), 74.0),
        (replace(DOCUMENTED, current_players=80), 74.0),
        (replace(DOCUMENTED, cpu_cores=2), 93.50),
        (replace(DOCUMENTED, cpu_cores=None), 88.50),
        (replace(DOCUMENTED, memory_mb=4096), 93.50),
        (replace(DOCUMENTED, memory_mb=None), 88.50),
        (replace(DOCUMENTED, speed_mbps=50), 96.0),
        (replace(DOCUMENTED, speed_mbps=None), 93.50),
        (replace(DOCUMENTED, max_players=3), 90.67),
    ],
)
def test_the_score_is_what_the_contract_says(quality: Quality, expected: float) -> None:
    assert score(points(quality)) == expected


def test_what_nobody_has_reported_earns_half_its_points() -> None:
    parts = score_parts(points(NOTHING_KNOWN))
    assert (parts["latency"], parts["packet_loss"]) == (15.0, 10.0)


def test_the_parts_have_the_names_of_the_contract() -> None:
    assert list(score_parts(points(DOCUMENTED))) == ["latency", "packet_loss", "room", "cpu", "memory", "network"]


@given(qualities)
def test_a_score_is_between_0_and_100(quality: Quality) -> None:
    assert 0 <= score(points(quality)) <= 100


@given(qualities)
def test_the_parts_add_up_to_the_score(quality: Quality) -> None:
    parts = points(quality)
    assert round(100 * score(parts)) == sum(round(100 * part) for part in score_parts(parts).values())


@given(qualities)
def test_no_part_is_further_than_a_hundredth_from_its_exact_value(quality: Quality) -> None:
    parts = points(quality)
    for exact, shown in zip(parts, score_parts(parts).values(), strict=True):
        assert abs(exact - shown) < 0.01 + 1e-9


@given(qualities, st.integers(1, 8))
def test_another_core_never_makes_a_host_worse(quality: Quality, more: int) -> None:
    better = replace(quality, cpu_cores=(quality.cpu_cores or 0) + more)
    assert score(points(better)) >= score(points(quality))


@given(qualities, st.integers(0, 100))
def test_another_player_never_makes_a_host_better(quality: Quality, more: int) -> None:
    fuller = replace(quality, current_players=quality.current_players + more)
    assert score(points(fuller)) <= score(points(quality))
