"""Players of a lost or bad host go to the central server, and return to a good one."""

import asyncio
import itertools
from datetime import timedelta

import pytest
from chassis import tracing
from chassis.ids import new_event_id
from contracts.gateway import IceState
from contracts.refusals import Code
from contracts.sessions import ConnectionType, ReportMetrics, SessionHistory, SessionStatus
from contracts.zones import ZoneFact, ZoneStatus
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from session_manager.errors import WrongStateError
from session_manager.migration import Settled
from session_manager.policies import ZonePolicy
from session_manager.sessions import read_ref
from session_manager.store import fallback as fallback_store

from services.session_manager.tests.facts import a_host_fact, an_outcome
from services.session_manager.tests.suite import a_zone
from services.session_manager.tests.world import EMPTY, IDLE, RETURN, UNHEALTHY, assert_sound, make_world

LOOK = timedelta(seconds=30)
REFUGE = ZonePolicy(fallback_enabled=True, fallback_endpoint="central.example:6900", max_latency_ms=100)


@pytest.fixture
def zones(zones):
    zones.policy = REFUGE
    zones.spare = False
    return zones


@pytest.fixture
def spans():
    """What the test records."""
    exporter = InMemorySpanExporter()
    with tracing.recording_to(exporter, "session_manager", "one", "1") as provider:

        def finished():
            provider.force_flush()
            return {span.name: span for span in exporter.get_finished_spans()}

        yield finished


@pytest.fixture(autouse=True)
def no_deadlocks(servers):
    servers.postgres.lines.clear()
    yield
    assert not [line for line in servers.postgres.lines if "deadlock" in line]


async def lose(world, clock, host="lost", revision=1):
    await world.fallback.host_lost(a_host_fact(host, revision=revision, at=clock.now()))


async def fallen(world, clock, *players, **fields):
    session = await world.create(host_id="lost", player_ids=list(players or "a"), **fields)
    await lose(world, clock)
    return await world.get(session.session_id)


async def come_back(world, clock, zones, *hosts):
    """Let these hosts be good for as long as it takes."""
    zones.able = list(hosts)
    await world.returning.bring_back()
    clock.advance(RETURN)
    return await world.returning.bring_back()


async def report(world, session, **measures):
    await world.lifecycle.report(ReportMetrics(session=session.session_id, **measures))


async def tell_connection(world, clock, session, player, state, to=None):
    await world.health.connection(an_outcome(session, player, state, at=clock.now(), to=to))


async def seats_on(world, host):
    return await world.database.fetchval("taken", "SELECT taken FROM host_seats WHERE host_id = $1", host)


async def test_players_of_a_lost_host_fall_back_with_their_seats(world, clock):
    session = await fallen(world, clock, "a", "b")

    assert (session.status, session.connection_type) == (SessionStatus.FALLBACK, ConnectionType.FALLBACK)
    assert (session.connected_players, session.fallback_endpoint) == (("a", "b"), "central.example:6900")
    assert (session.epoch, session.end_reason) == (1, None)
    event, fact = (await world.told())[-1]
    assert (event, fact.reason, fact.host_players, fact.session) == ("fell-back", "host_lost", 0, session)
    assert await seats_on(world, "lost") == 0
    await assert_sound(world.database)


async def test_a_session_that_nobody_has_joined_has_nobody_to_send_anywhere(world, clock):
    session = await world.create(host_id="lost")
    await lose(world, clock)
    assert (await world.get(session.session_id)).status is SessionStatus.FAILED


async def test_nothing_falls_back_where_that_is_switched_off(database, clock, zones):
    world = make_world(database, clock, zones, fallback_allowed=False)
    session = await fallen(world, clock)
    assert (session.status, session.end_reason) == (SessionStatus.FAILED, "host_lost")


async def test_a_zone_that_changes_its_mind_is_heard_and_an_older_word_is_not(world, clock):
    session = await world.create(host_id="lost", player_ids=["a"])
    for revision, enabled in ((3, False), (2, True)):
        zone = a_zone("prontera").model_copy(update={"fallback_enabled": enabled})
        fact = ZoneFact(
            event_id=new_event_id(), occurred_at=clock.now(), revision=revision, zone_id="prontera", zone=zone
        )
        await world.fallback.zone_changed(fact)
    await lose(world, clock)
    assert (await world.get(session.session_id)).status is SessionStatus.FAILED


def a_zone_fact(clock, revision, **changes):
    zone = a_zone("prontera").model_copy(update=changes)
    return ZoneFact(event_id=new_event_id(), occurred_at=clock.now(), revision=revision, zone_id="prontera", zone=zone)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"status": ZoneStatus.DISABLED}, "zone_disabled"), ({"p2p_enabled": False}, "p2p_disabled")],
)
async def test_the_sessions_of_a_zone_that_wants_no_hosts_fall_back_at_once(world, clock, zones, changes, reason):
    session, elsewhere = await world.create(player_ids=["a"]), await world.create("geffen", player_ids=["b"])
    nobody_s = await world.create()
    await world.fallback.zone_changed(a_zone_fact(clock, 1, **changes))

    event, fact = (await world.told_of(session.session_id))[-1]
    assert (event, fact.reason, fact.session.connected_players) == ("fell-back", reason, ("a",))
    assert (await world.get(nobody_s.session_id)).end_reason == reason
    assert (await world.get(elsewhere.session_id)).status is SessionStatus.ACTIVE
    assert await come_back(world, clock, zones, "host-1") == 0

    await world.fallback.zone_changed(a_zone_fact(clock, 2))
    assert await world.returning.bring_back() == 0
    clock.advance(RETURN)
    assert await world.returning.bring_back() == 1
    await assert_sound(world.database)


async def test_a_zone_in_maintenance_keeps_the_sessions_it_has(world, clock):
    session = await world.create(player_ids=["a"])
    await world.fallback.zone_changed(a_zone_fact(clock, 1, status=ZoneStatus.MAINTENANCE))
    assert await world.fallback.leave_closed() == Settled()
    assert (await world.get(session.session_id)).status is SessionStatus.ACTIVE


async def test_a_zone_switched_on_and_off_ten_times_a_second_moves_its_players_once_and_back_once(world, clock, zones):
    session = await world.create(player_ids=["a"])
    zones.able = ["host-1"]
    revisions = itertools.count(1)
    for _ in range(int(3 * RETURN / LOOK)):
        assert await world.returning.bring_back() == 0
        for switch in range(30):
            status = ZoneStatus.ENABLED if switch % 2 else ZoneStatus.DISABLED
            await world.fallback.zone_changed(a_zone_fact(clock, next(revisions), status=status))
            clock.advance(timedelta(seconds=0.1))
        clock.advance(LOOK - timedelta(seconds=3))
    await world.returning.bring_back()
    clock.advance(RETURN)
    assert await world.returning.bring_back() == 1
    assert [event for event, _ in await world.told_of(session.session_id)] == ["created", "fell-back", "migrated"]
    await assert_sound(world.database)


async def test_without_peer_to_peer_every_session_leaves_its_host(database, clock, zones):
    before = make_world(database, clock, zones)
    sessions = [await before.create(zone, player_ids=[zone]) for zone in ("prontera", "geffen")]
    world = make_world(database, clock, zones, p2p_allowed=False)

    assert await world.fallback.leave_closed() == Settled(fell_back=2)

    for session in sessions:
        event, fact = (await world.told_of(session.session_id))[-1]
        assert (event, fact.reason) == ("fell-back", "p2p_disabled")
    await assert_sound(world.database)


async def test_each_decision_is_on_record_with_its_figures(world, clock, zones):
    session = await world.create(host_id="lost", player_ids=["a"])
    await world.presence.lost(a_host_fact("lost", at=clock.now()))
    clock.advance(timedelta(seconds=1.5))
    await world.fallback.leave_lost()
    await come_back(world, clock, zones, "good")
    clock.advance(IDLE)
    await world.lifecycle.end_idle(IDLE)

    page = await world.questions.list_events(read_ref(session.session_id), 10, None)
    lines = SessionHistory.model_validate_json(page).items
    assert [(line.event, line.reason, line.figures) for line in lines] == [
        ("created", None, {}),
        ("migrating", "host_lost", {"lost_for_s": 1.5}),
        ("fell-back", "host_lost", {"hostless_s": 0}),
        ("migrated", "host_lost", {"host_able_s": 60, "fallback_s": 60}),
        ("ended", "idle", {"idle_s": (IDLE + RETURN + timedelta(seconds=1.5)).total_seconds()}),
    ]
    assert [fact.figures for _, fact in await world.told()] == [line.figures for line in lines]


async def test_the_trace_says_what_was_decided_and_from_which_figures(world, clock, zones, spans):
    session = await world.create(host_id="bad", player_ids=["a"])
    with tracing.root("tick session-health"):
        for _ in range(3):
            await report(world, session, packet_loss_percent=12.5)
            await world.fallback.leave_bad()
            clock.advance(LOOK)
        await come_back(world, clock, zones, "good")
    about = {"p2p.session_id": session.session_id}
    assert spans()["leave host"].attributes == about | {
        "p2p.host_id": "bad",
        "p2p.reason": "packet_loss",
        "p2p.packet_loss_percent": 12.5,
        "p2p.most_loss_percent": 10,
        "p2p.players_losing": 0,
        "p2p.players": 1,
        "p2p.for_s": 60,
    }
    assert spans()["return to host"].attributes["p2p.host_able_s"] == 60


async def test_a_zone_that_nothing_is_known_of_is_what_the_contract_says(world, clock):
    session = await world.create(host_id="lost", player_ids=["a"])
    await world.database.execute("forget", "DELETE FROM zone_policies")
    await lose(world, clock)
    session = await world.get(session.session_id)
    assert (session.status, session.fallback_endpoint) == (SessionStatus.FALLBACK, None)


async def test_more_sessions_than_one_batch_fall_back_all_the_same(world, clock, monkeypatch):
    monkeypatch.setattr(fallback_store, "BATCH", 2)
    for number in range(5):
        await world.create(host_id="lost", player_ids=[f"player-{number}"])
    await world.presence.lost(a_host_fact("lost", at=clock.now()))
    assert await world.fallback.leave_lost() == Settled(fell_back=5)
    await assert_sound(world.database)


async def test_a_session_in_fallback_takes_nobody(world, clock):
    session = await fallen(world, clock)
    for command in (world.join(session.session_id, "b"), world.lifecycle.activate(session.session_id)):
        with pytest.raises(WrongStateError):
            await command


async def test_leaving_it_ending_it_and_moving_away_do_not_touch_its_old_host(world, clock):
    session = await fallen(world, clock, "a", "b", "c")
    other = await world.create(host_id="lost", player_ids=["x"])
    await world.leave(session.session_id, "a")
    await world.join(other.session_id, "b")
    await assert_sound(world.database)
    await world.end(session.session_id)
    assert await seats_on(world, "lost") == 2
    await assert_sound(world.database)


async def test_whoever_enters_the_zone_anew_moves_to_a_host(world, clock, zones):
    session = await fallen(world, clock, "a")
    entered = await world.enter("a")
    assert (entered.session_id != session.session_id, entered.host_id) == (True, zones.host)
    await assert_sound(world.database)


@pytest.mark.parametrize(("span", "reason"), [(IDLE, "idle"), (EMPTY, "empty")])
async def test_nobody_s_session_ends_in_fallback_too(world, clock, span, reason):
    session = await fallen(world, clock)
    if reason == "empty":
        await world.leave(session.session_id, "a")
    clock.advance(span)
    await world.lifecycle.end_idle(IDLE)
    await world.lifecycle.end_empty(EMPTY)
    ended = await world.get(session.session_id)
    assert (ended.status, ended.end_reason, ended.fallback_endpoint) == (SessionStatus.ENDED, reason, None)
    await assert_sound(world.database)


async def test_players_return_to_a_host_that_was_good_for_long_enough(world, clock, zones):
    session = await fallen(world, clock, "a", "b")
    zones.able = ["good"]
    for _ in range(2):
        assert await world.returning.bring_back() == 0
        clock.advance(RETURN / 2)

    assert await world.returning.bring_back() == 1

    returned = await world.get(session.session_id)
    assert (returned.status, returned.connection_type) == (SessionStatus.ACTIVE, ConnectionType.WEBRTC)
    assert (returned.host_id, returned.host_peer_id, returned.epoch) == ("good", "peer-of-good", 2)
    assert (returned.fallback_endpoint, returned.connected_players) == (None, ("a", "b"))
    event, fact = (await world.told())[-1]
    assert (event, fact.session, fact.host_players) == ("migrated", returned, 2)
    await world.join(session.session_id, "c")
    await assert_sound(world.database)


async def test_a_host_that_was_away_in_between_begins_anew(world, clock, zones):
    await fallen(world, clock)
    for hosts in (["fickle"], [], ["fickle"]):
        zones.able = hosts
        assert await world.returning.bring_back() == 0
        clock.advance(RETURN / 2)
    assert await world.returning.bring_back() == 0
    clock.advance(RETURN / 2)
    assert await world.returning.bring_back() == 1


async def test_a_host_lost_between_two_looks_begins_anew(world, clock, zones):
    await fallen(world, clock)
    zones.able = ["fickle"]
    await world.returning.bring_back()
    await lose(world, clock, "fickle")
    clock.advance(RETURN)
    assert await world.returning.bring_back() == 0


async def test_a_host_that_is_able_since_just_now_is_excluded(world, clock, zones):
    session = await fallen(world, clock)
    zones.able = ["old"]
    await world.returning.bring_back()
    clock.advance(RETURN)
    zones.able = ["young", "old"]
    await world.returning.bring_back()
    assert zones.excluded[-1] == ("young",)
    assert (await world.get(session.session_id)).host_id == "old"


async def test_a_host_without_room_for_all_serves_nobody(world, clock, zones):
    session = await fallen(world, clock, "a", "b", "c")
    zones.host_max_players = 2
    assert await come_back(world, clock, zones, "small") == 0
    assert (await world.get(session.session_id)).status is SessionStatus.FALLBACK
    await assert_sound(world.database)


async def test_what_was_measured_on_the_old_host_says_nothing_of_the_new(world, clock, zones):
    session = await world.create(host_id="lost", player_ids=["a"])
    await report(world, session, average_latency_ms=300)
    await lose(world, clock)
    await come_back(world, clock, zones, "good")
    assert (await world.get(session.session_id)).average_latency_ms is None
    await assert_sound(world.database)


async def test_one_zone_s_failure_does_not_stop_the_others(world, clock, zones):
    broken = await world.create("aldebaran", host_id="lost", player_ids=["a"])
    whole = await fallen(world, clock, "b")
    zones.ranking_refusals = {"aldebaran": Code.INTERNAL}
    assert await come_back(world, clock, zones, "good") == 1
    assert (await world.get(whole.session_id)).host_id == "good"
    assert (await world.get(broken.session_id)).status is SessionStatus.FALLBACK


async def test_a_host_lost_just_after_it_was_chosen_sends_them_back(world, clock, zones):
    session = await fallen(world, clock)
    await come_back(world, clock, zones, "good")
    await lose(world, clock, "good")
    assert (await world.get(session.session_id)).status is SessionStatus.FALLBACK
    await assert_sound(world.database)


@pytest.mark.parametrize(
    ("measures", "reason"),
    [({"average_latency_ms": 101}, "latency"), ({"packet_loss_percent": 11}, "packet_loss")],
)
async def test_a_session_that_fares_badly_for_long_enough_falls_back(world, clock, zones, measures, reason):
    session = await world.create(host_id="bad", player_ids=["a"])
    for _ in range(int(UNHEALTHY / LOOK)):
        await report(world, session, **measures)
        assert await world.fallback.leave_bad() == Settled()
        clock.advance(LOOK)
    await report(world, session, **measures)
    assert await world.fallback.leave_bad() == Settled(fell_back=1)
    event, fact = (await world.told())[-1]
    assert (event, fact.reason) == ("fell-back", reason)
    zones.able = ["bad"]
    assert await world.returning.bring_back() == 0
    clock.advance(RETURN - timedelta(seconds=1))
    assert await world.returning.bring_back() == 0
    clock.advance(timedelta(seconds=1))
    assert await world.returning.bring_back() == 1


async def test_a_good_look_in_between_begins_anew(world, clock):
    session = await world.create(player_ids=["a"])
    for latency in (200, 200, 20, 200, 200):
        await report(world, session, average_latency_ms=latency)
        assert await world.fallback.leave_bad() == Settled()
        clock.advance(LOOK)


async def assert_nobody_moves(world, clock, looks=8):
    for _ in range(looks):
        assert await world.fallback.leave_bad() == Settled()
        clock.advance(LOOK)


@pytest.mark.parametrize("player", [None, "a"])
async def test_a_lone_bad_report_moves_nobody(world, clock, player):
    session = await world.create(player_ids=["a"])
    await world.lifecycle.report(
        ReportMetrics(session=session.session_id, average_latency_ms=9000, packet_loss_percent=90), player
    )
    await assert_nobody_moves(world, clock)


async def test_what_is_reported_of_one_measure_does_not_renew_the_other(world, clock):
    session = await world.create(player_ids=["a"])
    await report(world, session, average_latency_ms=9000)
    for _ in range(8):
        await report(world, session, packet_loss_percent=0)
        assert await world.fallback.leave_bad() == Settled()
        clock.advance(LOOK)


@pytest.mark.parametrize("others", ["say it is well", "say nothing"])
async def test_one_player_s_word_moves_none_of_twenty_others(world, clock, others):
    players = [f"player-{number}" for number in range(20)]
    session = await world.create(player_ids=["liar", *players])
    for _ in range(8):
        for player in players if others == "say it is well" else []:
            await world.lifecycle.report(ReportMetrics(session=session.session_id, average_latency_ms=20), player)
        lie = ReportMetrics(session=session.session_id, average_latency_ms=1e9, packet_loss_percent=100)
        await world.lifecycle.report(lie, "liar")
        assert await world.fallback.leave_bad() == Settled()
        clock.advance(LOOK)
    if others == "say it is well":
        assert (await world.get(session.session_id)).average_latency_ms == 20
    await assert_sound(world.database)


async def test_a_player_who_does_not_sit_there_has_no_word(world):
    session = await world.create(player_ids=["a"])
    await world.lifecycle.report(ReportMetrics(session=session.session_id, average_latency_ms=500), "stranger")
    assert (await world.get(session.session_id)).average_latency_ms is None


async def test_where_most_players_say_so_they_leave(world, clock):
    session = await world.create(player_ids=["a", "b", "c"])
    for look in range(3):
        for player, latency in (("a", 300), ("b", 140), ("c", 20)):
            await world.lifecycle.report(ReportMetrics(session=session.session_id, average_latency_ms=latency), player)
        assert await world.fallback.leave_bad() == Settled(fell_back=look // 2)
        clock.advance(LOOK)
    fact = (await world.told())[-2][1]
    assert fact.reason == "latency"
    assert fact.figures == {"max_latency_ms": 100, "players_slow": 2, "players": 3, "for_s": 60}
    assert fact.session.average_latency_ms == 140


async def test_a_player_s_word_leaves_with_the_player(world, clock):
    session = await world.create(player_ids=["a", "b"])
    for _ in range(3):
        for player in "ab":
            await world.lifecycle.report(ReportMetrics(session=session.session_id, average_latency_ms=300), player)
        await world.leave(session.session_id, "b")
        await world.leave(session.session_id, "a")
        for player in "ab":
            await world.join(session.session_id, player)
        assert await world.fallback.leave_bad() == Settled()
        clock.advance(LOOK)


async def test_a_host_that_is_always_able_and_always_bad_is_tried_ever_less_often(world, clock, zones):
    session = await world.create(host_id="bad", player_ids=["a"])
    zones.able = ["bad"]
    for _ in range(int(timedelta(hours=2) / LOOK)):
        await report(world, session, average_latency_ms=500)
        await world.fallback.leave_bad()
        await world.returning.bring_back()
        clock.advance(LOOK)
    events = [event for event, _ in await world.told_of(session.session_id)]
    assert (events.count("fell-back"), events.count("migrated")) == (7, 6)
    await assert_sound(world.database)


async def test_players_go_to_another_host_while_theirs_is_distrusted(world, clock, zones):
    session = await world.create(host_id="bad", player_ids=["a"])
    zones.able = ["bad", "good"]
    for look in range(3):
        await report(world, session, average_latency_ms=500)
        assert await world.fallback.leave_bad() == Settled(migrated=look // 2)
        clock.advance(LOOK)
    moved = await world.get(session.session_id)
    assert (moved.status, moved.host_id, moved.epoch) == (SessionStatus.ACTIVE, "good", 2)
    await assert_sound(world.database)


async def test_an_old_report_does_not_count(world, clock):
    session = await world.create(player_ids=["a"])
    await report(world, session, average_latency_ms=200)
    for _ in range(6):
        assert await world.fallback.leave_bad() == Settled()
        clock.advance(LOOK * 3)


async def test_where_most_players_have_no_connection_they_fall_back(world, clock):
    session = await world.create(player_ids=["a", "b", "c", "d", "silent"])
    states = {"a": IceState.FAILED, "b": IceState.DISCONNECTED, "c": IceState.CONNECTED, "d": IceState.FAILED}
    for player, state in states.items():
        await tell_connection(world, clock, session, player, state)
    await world.fallback.leave_bad()
    clock.advance(UNHEALTHY)
    assert await world.fallback.leave_bad() == Settled(fell_back=1)
    fact = (await world.told())[-2][1]
    assert fact.reason == "unconnected"
    assert fact.figures == {"players_unconnected": 3, "players_connected": 1, "players": 5, "for_s": 60}


async def test_one_player_who_cannot_connect_moves_no_other(world, clock):
    session = await world.create(player_ids=["alone", *(f"player-{number}" for number in range(20))])
    await tell_connection(world, clock, session, "alone", IceState.FAILED)
    await assert_nobody_moves(world, clock)


async def test_the_last_attempt_to_the_present_host_counts(world, clock):
    session = await world.create(player_ids=["a"])
    await tell_connection(world, clock, session, "a", IceState.FAILED, to="somebody")
    assert await world.health.doubtful(clock.now(), 10) == []
    await tell_connection(world, clock, session, "a", IceState.FAILED)
    assert len(await world.health.doubtful(clock.now(), 10)) == 1
    clock.advance(LOOK)
    await tell_connection(world, clock, session, "a", IceState.CONNECTED)
    assert await world.health.doubtful(clock.now(), 10) == []


async def test_two_instances_that_look_at_once_send_each_session_away_once(database, clock, zones):
    worlds = [make_world(database, clock, zones, name) for name in ("one", "two")]
    for number in range(10):
        await worlds[0].create(host_id="lost", player_ids=[f"player-{number}"])
    await worlds[0].presence.lost(a_host_fact("lost", at=clock.now()))
    await asyncio.gather(*(world.fallback.leave_lost() for world in worlds * 2))
    zones.able = ["good"]
    await asyncio.gather(*(world.returning.bring_back() for world in worlds))
    clock.advance(RETURN)
    await asyncio.gather(*(world.returning.bring_back() for world in worlds))
    events = [event for event, _ in await worlds[0].told()]
    assert (events.count("fell-back"), events.count("migrated")) == (10, 10)
    await assert_sound(database)


async def test_those_who_join_while_their_session_falls_back_are_in_or_refused(world, clock):
    for number in range(5):
        session = await world.create(host_id="lost", player_ids=[f"first-{number}"])
        joins = [world.join(session.session_id, f"player-{number}-{other}") for other in range(5)]
        leave = world.leave(session.session_id, f"first-{number}")
        lost = lose(world, clock, revision=number + 1)
        outcomes = await asyncio.gather(*joins[:3], lost, leave, *joins[3:], return_exceptions=True)
        refused = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        assert all(isinstance(error, WrongStateError) for error in refused)
        await assert_sound(world.database)


async def test_players_who_leave_while_their_session_returns_take_their_seats_along(world, clock, zones):
    session = await fallen(world, clock, "a", "b", "c")
    zones.able = ["good"]
    await world.returning.bring_back()
    clock.advance(RETURN)
    leaves = [world.leave(session.session_id, player) for player in "abc"]
    await asyncio.gather(*leaves, world.returning.bring_back())
    assert (await world.get(session.session_id)).connected_players == ()
    await assert_sound(world.database)
