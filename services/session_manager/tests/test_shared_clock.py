from datetime import UTC, datetime, timedelta

from session_manager.shared_clock import SharedClock
from structlog.testing import capture_logs

HOUR = timedelta(hours=1)


class Boot:
    """Seconds since boot, in the test's hand."""

    def __init__(self):
        self.seconds = 1000.0

    def __call__(self):
        return self.seconds


class Told:
    """PostgreSQL, as far as it tells the time."""

    def __init__(self):
        self.at = datetime(2026, 1, 1, 12, tzinfo=UTC)

    async def fetchval(self, _name, _sql):
        return self.at


async def test_it_is_postgresql_s_time(database):
    clock = await SharedClock.read(database)
    before = await database.fetchval("before", "SELECT clock_timestamp()")
    assert abs(clock.now() - before) < timedelta(minutes=1)


async def test_between_looks_it_goes_on_by_what_nobody_can_set():
    told, boot = Told(), Boot()
    clock = await SharedClock.read(told, boot)
    boot.seconds += 5
    assert clock.now() == told.at + timedelta(seconds=5)


async def test_it_keeps_in_step():
    told, boot = Told(), Boot()
    clock = await SharedClock.read(told, boot)
    told.at += timedelta(seconds=3)
    await clock.look()
    assert clock.now() == told.at


async def test_it_follows_no_jump_and_says_so():
    told, boot = Told(), Boot()
    clock = await SharedClock.read(told, boot)
    began = told.at
    for jump in (HOUR, -HOUR):
        told.at = began + jump
        with capture_logs() as logs:
            await clock.look()
        assert clock.now() == began
        assert [(line["event"], line["by_s"]) for line in logs] == [("clock.jumped", jump.total_seconds())]
