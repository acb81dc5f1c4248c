"""When jobs are due."""

from datetime import UTC, datetime, timedelta

import pytest
from contracts.jobs import JobName
from hypothesis import given
from hypothesis import strategies as st
from scheduler.calendar import Tick, last_due, next_due, ticks_due

HEALTH = JobName.SESSION_HEALTH
CLEANUP = JobName.SESSION_CLEANUP
CALENDAR = {HEALTH: timedelta(seconds=30), CLEANUP: timedelta(minutes=5)}

moments = st.datetimes(datetime(2024, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
intervals = st.timedeltas(timedelta(milliseconds=100), timedelta(days=1))


def at(clock: str) -> datetime:
    return datetime.fromisoformat(f"2026-01-01T{clock}+00:00")


@pytest.mark.parametrize(
    "now, last, following",
    [
        ("12:00:00", "12:00:00", "12:00:30"),
        ("12:00:29.999999", "12:00:00", "12:00:30"),
        ("12:00:30", "12:00:30", "12:01:00"),
    ],
)
def test_due_times_stand_on_whole_multiples_of_the_interval(now: str, last: str, following: str):
    assert last_due(timedelta(seconds=30), at(now)) == at(last)
    assert next_due(timedelta(seconds=30), at(now)) == at(following)


@given(moments, intervals)
def test_any_moment_lies_between_the_last_and_the_next_due_time(now: datetime, interval: timedelta):
    assert last_due(interval, now) <= now < next_due(interval, now)
    assert next_due(interval, now) - last_due(interval, now) == interval


@given(moments, intervals)
def test_a_due_time_is_its_own_last_due_time(now: datetime, interval: timedelta):
    due_at = last_due(interval, now)
    assert last_due(interval, due_at) == due_at


@pytest.mark.parametrize(
    "why, ticked, due",
    [
        ("nothing was ever ticked", {}, [Tick(HEALTH, at("12:07:30")), Tick(CLEANUP, at("12:05:00"))]),
        ("all is ticked", {HEALTH: at("12:07:30"), CLEANUP: at("12:05:00")}, []),
        ("health is due again", {HEALTH: at("12:07:00"), CLEANUP: at("12:05:00")}, [Tick(HEALTH, at("12:07:30"))]),
        (
            "an outage of an hour is not replayed",
            {HEALTH: at("11:07:30"), CLEANUP: at("12:05:00")},
            [Tick(HEALTH, at("12:07:30"))],
        ),
        ("another clock is a little ahead", {HEALTH: at("12:08:00"), CLEANUP: at("12:05:00")}, []),
        (
            "a clock was an hour ahead and is put right",
            {HEALTH: at("13:07:30"), CLEANUP: at("12:05:00")},
            [Tick(HEALTH, at("12:07:30"))],
        ),
    ],
)
def test_what_is_due(why: str, ticked: dict[JobName, datetime], due: list[Tick]):
    assert ticks_due(CALENDAR, ticked, at("12:07:42")) == due


@given(moments, st.lists(st.timedeltas(timedelta(0), timedelta(minutes=20)), max_size=50))
def test_a_leader_that_looks_whenever_it_can_ticks_each_due_time_once_and_the_newest_always(
    start: datetime, pauses: list[timedelta]
):
    now, ticked, told = start, dict[JobName, datetime](), list[Tick]()
    for pause in [timedelta(0), *pauses]:
        now += pause
        for tick in ticks_due(CALENDAR, ticked, now):
            ticked[tick.job] = tick.due_at
            told.append(tick)
        assert ticked == {job: last_due(interval, now) for job, interval in CALENDAR.items()}
    assert len({tick.message_id for tick in told}) == len(told)


def test_the_message_id_names_job_and_due_time():
    assert Tick(HEALTH, at("12:07:30")).message_id == "session-health@2026-01-01T12:07:30+00:00"
