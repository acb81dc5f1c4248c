"""Buckets give what they hold and no more, whatever the pattern; so do a socket's frames."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from signaling_gateway.limits.bucket import NANOSECONDS, Allowance, Bucket
from signaling_gateway.limits.flow import BORNE_S, Excess, Flow

MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)

ALLOWANCES = st.builds(
    lambda number, seconds, burst: Allowance.of(number, timedelta(seconds=seconds), burst),
    st.integers(1, 1000),
    st.integers(1, 60),
    st.integers(2, 500),
)
PAUSES = st.lists(
    st.one_of(st.just(0), st.integers(0, 10_000), st.integers(0, 3 * NANOSECONDS)), min_size=1, max_size=300
)


@pytest.mark.parametrize(
    ("asked_at_s", "given"),
    [
        ([0] * 4, [1, 1, 1, 0]),
        ([0, 0, 0, 19.999, 20, 20], [1, 1, 1, 0, 1, 0]),
        ([0, 0, 0, 40, 40, 40], [1, 1, 1, 1, 1, 0]),
        ([0, 3600, 3600, 3600, 3600], [1, 1, 1, 1, 0]),
    ],
)
def test_a_bucket_of_three_a_minute(asked_at_s: list[float], given: list[int]):
    allowance, bucket = Allowance.of(3, MINUTE), Bucket()

    assert [bucket.take(allowance, int(at * NANOSECONDS)) for at in asked_at_s] == given


def test_what_is_left_is_given_where_more_is_wanted():
    allowance, bucket = Allowance.of(10, MINUTE), Bucket()

    assert [bucket.take(allowance, 0, 4) for _ in range(4)] == [4, 4, 2, 0]
    bucket.give_back(allowance)
    assert bucket.take(allowance, 0, 4) == 1


def test_the_wait_that_is_told_is_enough_and_not_a_nanosecond_too_long():
    allowance, bucket = Allowance.of(100, MINUTE), Bucket()
    assert bucket.wait(allowance, 0) == 0
    bucket.take(allowance, 0, 100)

    wait = bucket.wait(allowance, 5)

    assert bucket.take(allowance, 5 + wait - 1) == 0
    assert bucket.take(allowance, 5 + wait) == 1


def within_any_window(allowance: Allowance, passed: list[int]) -> bool:
    """Whether no stretch of time saw more than the burst and the rate allow."""
    for first in range(len(passed)):
        for last in range(first, len(passed)):
            allowed = allowance.burst + (passed[last] - passed[first]) // allowance.interval
            if last - first + 1 > allowed:
                return False
    return True


@given(ALLOWANCES, PAUSES, st.integers(0, 10**18))
def test_in_no_time_more_passes_than_the_burst_and_the_rate(allowance: Allowance, pauses: list[int], now: int):
    bucket, passed = Bucket(), []
    for pause in pauses:
        now += pause
        if bucket.take(allowance, now):
            passed.append(now)

    assert within_any_window(allowance, passed)


class Clock:
    def __init__(self) -> None:
        self.now = 10**15
        self.looks = 0

    def __call__(self) -> int:
        self.looks += 1
        return self.now


@given(ALLOWANCES, PAUSES)
def test_a_sockets_frames_keep_the_same_law(allowance: Allowance, pauses: list[int]):
    clock, passed = Clock(), []
    flow = Flow(allowance, clock)
    for pause in pauses:
        clock.now += pause
        if flow.passes():
            passed.append(clock.now)

    assert within_any_window(allowance, passed)


def test_a_socket_has_its_whole_burst_and_the_clock_is_looked_at_once_for_twenty_frames():
    clock = Clock()
    flow = Flow(Allowance.of(200, SECOND, 400), clock)

    assert all(flow.passes() for _ in range(400))
    assert clock.looks == 19
    assert not flow.passes()
    clock.now += NANOSECONDS
    assert sum(flow.passes() for _ in range(1000)) == 200


def test_who_floods_is_told_once_a_second_and_closed_in_the_end():
    clock = Clock()
    flow = Flow(Allowance.of(200, SECOND, 400), clock)

    for _ in range(3):
        assert [flow.exceeded() for _ in range(3)] == [Excess.TELL, Excess.DROP, Excess.DROP]
        clock.now += NANOSECONDS
    assert Excess.CLOSE not in [flow.exceeded() for _ in range(200 * BORNE_S - 9)]
    assert Excess.CLOSE in [flow.exceeded() for _ in range(100)]


def test_a_little_too_much_is_borne_for_ever():
    clock = Clock()
    flow = Flow(Allowance.of(200, SECOND, 400), clock)

    for _ in range(1000):
        clock.now += NANOSECONDS
        assert Excess.CLOSE not in [flow.exceeded() for _ in range(20)]
