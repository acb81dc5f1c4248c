import pytest
from contracts.sessions import ReportMetrics
from session_manager.errors import SessionNotFoundError

from services.session_manager.tests.world import assert_sound


def a_report(session, **measures):
    return ReportMetrics(session=session.session_id, **measures)


async def test_the_last_report_of_each_measure_counts(world, clock):
    session = await world.create()
    await world.lifecycle.report(
        a_report(session, average_latency_ms=80, packet_loss_percent=2, bandwidth_usage_mbps=3, quality_score=50)
    )
    await world.lifecycle.report(a_report(session, average_latency_ms=20.5, quality_score=90))

    reported = await world.get(str(session.id))
    assert reported.average_latency_ms == 20.5
    assert reported.average_packet_loss_percent == 2
    assert reported.bandwidth_usage_mbps == 3
    assert reported.quality_score == 90
    assert reported.updated_at == clock.now()


async def test_a_report_on_what_is_not_there_is_refused(world):
    with pytest.raises(SessionNotFoundError):
        await world.lifecycle.report(ReportMetrics(session="4711", average_latency_ms=1))


async def test_without_sessions_all_totals_are_zero(world):
    counts = await world.questions.count()
    assert (counts.total, counts.active, counts.inactive, counts.total_players) == (0, 0, 0, 0)
    assert counts.average_latency_ms is None


async def test_totals_are_those_of_the_sessions(world):
    measured, also, silent = [await world.create(player_ids=[name]) for name in ("a", "b", "c")]
    await world.lifecycle.report(a_report(measured, average_latency_ms=10.25))
    await world.lifecycle.report(a_report(also, average_latency_ms=20.5))
    await world.join(silent.session_id, "d")

    counts = await world.questions.count()
    assert (counts.total, counts.active, counts.inactive, counts.total_players) == (3, 3, 0, 4)
    assert counts.average_latency_ms == 15.375

    await world.end(also.session_id)
    counts = await world.questions.count()
    assert (counts.total, counts.active, counts.inactive, counts.total_players) == (3, 2, 1, 3)
    assert counts.average_latency_ms == 10.25
    await assert_sound(world.database)
