"""Rules: what pings and bytes come to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prober.measuring import IN_FLIGHT_BYTES, PLENTY_MBPS, Arrival, Figures, figures, upload_mbps

MIB = 1024 * 1024


def paced(mbps, size=16 * 1024, total=MIB):
    """An upload that comes evenly, at this rate."""
    every = size * 8 / 1e6 / mbps
    return [Arrival(number * every, size) for number in range(total // size)]


@pytest.mark.parametrize(
    ("trips_ms", "found"),
    [
        ([], None),
        ([None, None], None),
        ([10.0], Figures(10, None, 0)),
        ([10.0, 10.0, 10.0], Figures(10, 0, 0)),
        ([10.0, 14.0, 12.0], Figures(12, 3, 0)),
        ([10.0, None, 14.0, None], Figures(12, 4, 50)),
        ([1.0, 1.0, 900.0], Figures(1, 449.5, 0)),
    ],
)
def test_pings_come_to_their_median_their_steps_and_their_losses(trips_ms, found):
    assert figures(trips_ms) == found


@given(st.lists(st.none() | st.floats(0, 10_000), min_size=1, max_size=100))
def test_figures_lie_within_what_was_measured(trips_ms):
    answered = [trip for trip in trips_ms if trip is not None]
    found = figures(trips_ms)
    assert (found is None) == (not answered)
    if found is not None:
        assert min(answered) <= found.round_trip_ms <= max(answered)
        assert 0 <= found.packet_loss_percent < 100
        assert found.jitter_ms is None or 0 <= found.jitter_ms <= max(answered) - min(answered) + 1e-9


@pytest.mark.parametrize("mbps", [0.5, 2, 8, 20, 300])
def test_an_even_upload_is_its_rate(mbps):
    assert upload_mbps(paced(mbps), 1.0, 0.1) == pytest.approx(mbps)


def test_an_upload_counts_at_its_fastest_eighth():
    slow_start = paced(2, total=MIB // 2)
    fast = [Arrival(slow_start[-1].at_s + 0.001 * number, 16 * 1024) for number in range(1, 33)]
    assert upload_mbps([*slow_start, *fast], 1.0, 0.1) == pytest.approx(16 * 1024 * 8 / 1000)


def test_a_stall_in_an_upload_is_not_the_line():
    steady = paced(50)
    stalled = [Arrival(at_s + (1.0 if at_s > 0.1 else 0.0), size) for at_s, size in steady]
    assert upload_mbps(stalled, 1.0, 0.1) == pytest.approx(50)


@pytest.mark.parametrize("arrivals", [[], [Arrival(1.0, MIB)], [Arrival(1.0, 10), Arrival(1.0, 10)]])
def test_bytes_that_came_at_one_moment_tell_nothing(arrivals):
    assert upload_mbps(arrivals, 1.0, 0.1) is None


def test_a_figure_that_may_be_ours_is_left_out_unless_it_is_plenty():
    assert upload_mbps(paced(PLENTY_MBPS * 0.9), 1.0, 0.95) is None
    assert upload_mbps(paced(PLENTY_MBPS * 1.1), 1.0, 0.95) == pytest.approx(PLENTY_MBPS * 1.1)


def test_a_way_too_long_to_be_filled_by_so_few_bytes_tells_nothing():
    fills = IN_FLIGHT_BYTES * 8 / 1e6 / 0.2
    assert upload_mbps(paced(fills * 0.9), 200.0, 0.1) == pytest.approx(fills * 0.9)
    assert upload_mbps(paced(fills * 1.1), 200.0, 0.1) is None


@given(
    st.lists(st.tuples(st.floats(0, 1), st.integers(1, 65_536)), max_size=50),
    st.floats(0, 1000),
    st.floats(0, 1),
)
def test_whatever_comes_is_a_figure_above_nothing_or_none(steps, round_trip_ms, busy_share):
    at_s, arrivals = 0.0, []
    for after, size in steps:
        at_s += after
        arrivals.append(Arrival(at_s, size))
    found = upload_mbps(arrivals, round_trip_ms, busy_share)
    assert found is None or found > 0
