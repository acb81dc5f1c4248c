"""The whole service on real servers: requests in over NATS, facts out over JetStream."""

import asyncio
from datetime import timedelta

import pytest
from chassis.ids import new_event_id
from chassis.jetstream import publish
from chassis.refusals import RefusedError
from chassis.requests import Caller, call
from contracts.gateway import PEER_ENTERED
from contracts.hosts import HOST_DELETED, HOST_OFFLINE, HOST_REGISTERED
from contracts.jobs import JOB_DUE, JobDue, JobFact, JobName
from contracts.refusals import Code, Refusal
from contracts.sessions import (
    ACTIVATE_SESSION,
    CLEAN_SESSIONS,
    COUNT_SESSIONS,
    CREATE_SESSION,
    END_SESSION,
    ENTER_ZONE,
    GET_SESSION,
    JOIN_SESSION,
    LEAVE_SESSION,
    LIST_SESSION_EVENTS,
    LIST_SESSIONS,
    REPORT_METRICS,
    CleanSessions,
    CreateSession,
    EndSession,
    EnterZone,
    JoinSession,
    LeaveSession,
    ListSessionEvents,
    ListSessions,
    NameSession,
    ReportMetrics,
    SessionFact,
    SessionStatus,
)
from contracts.subjects import Nothing
from contracts.zones import ZONE_CHANGED, ZoneFact
from session_manager.app import service
from session_manager.settings import Settings
from testkit.eventually import eventually
from testkit.patience import patient

from services.session_manager.tests.facts import NOON, a_host_fact, a_presence
from services.session_manager.tests.suite import a_zone, beside_zone_manager, heard

PATIENT = timedelta(seconds=patient(30))
"""Many at once on a busy machine: none is refused for lateness."""


async def test_a_session_lives_its_life_over_nats(bus):
    told = await heard(bus, "p2p.events.sessions.>", SessionFact)
    session = await call(bus, CREATE_SESSION, CreateSession(host_id="host-1", zone_id="prontera", max_players=10))
    name = session.session_id

    assert (await call(bus, ACTIVATE_SESSION, NameSession(session=name))).message == "The session is active."
    joined = await call(bus, JOIN_SESSION, JoinSession(session=str(session.id), player_id="a"))
    assert (joined.connected_players, joined.message) == (("a",), "The player has joined.")
    again = await call(bus, JOIN_SESSION, JoinSession(session=name, player_id="a"))
    assert again.message == "The player is in this session already."
    assert (await call(bus, ENTER_ZONE, EnterZone(zone_id="prontera", player_id="b"))).session_id == name
    reported = await call(bus, REPORT_METRICS, ReportMetrics(session=name, average_latency_ms=12))
    assert reported.average_latency_ms == 12
    assert (await call(bus, LEAVE_SESSION, LeaveSession(session=name, player_id="a"))).connected_players == ("b",)
    assert (await call(bus, COUNT_SESSIONS, Nothing())).total_players == 1
    assert len((await call(bus, LIST_SESSIONS, ListSessions(live=True))).items) == 1
    assert (await call(bus, CLEAN_SESSIONS, CleanSessions())).cleaned == 0
    ended = await call(bus, END_SESSION, EndSession(session=name))
    assert ended.status is SessionStatus.ENDED
    assert (await call(bus, GET_SESSION, NameSession(session=name))).end_reason == "normal"
    history = await call(bus, LIST_SESSION_EVENTS, ListSessionEvents(session=name))

    expected = ["created", "activated", "joined", "joined", "left", "ended"]
    assert [line.event for line in history.items] == expected
    await eventually(lambda: [event for event, _ in told] == expected, of="all facts")
    assert [fact.revision for _, fact in told] == [1, 2, 3, 4, 5, 6]
    assert {fact.session_id for _, fact in told} == {name}


@pytest.mark.parametrize(
    ("rpc", "question", "code"),
    [
        (GET_SESSION, NameSession(session="4711"), Code.SESSION_NOT_FOUND),
        (JOIN_SESSION, JoinSession(session="lobby", player_id="a"), Code.SESSION_NOT_FOUND),
        (LEAVE_SESSION, LeaveSession(player_id="a"), Code.PLAYER_NOT_FOUND),
        (CREATE_SESSION, CreateSession(zone_id="z", player_ids=("a", "a")), Code.INVALID),
        (CREATE_SESSION, CreateSession(zone_id="z", max_players=21), Code.INVALID),
        (LIST_SESSIONS, ListSessions(cursor="x"), Code.INVALID),
    ],
)
async def test_what_cannot_be_done_is_refused_by_its_code(bus, rpc, question, code):
    with pytest.raises(RefusedError) as refused:
        await call(bus, rpc, question)
    assert refused.value.refusal.code is code


async def test_a_create_repeated_under_its_key_is_the_same_session(bus):
    question = CreateSession(zone_id="prontera", player_ids=("a",))
    alice = Caller("player", "alice")

    answers = await asyncio.gather(
        *(call(bus, CREATE_SESSION, question, caller=alice, idempotency_key="k") for _ in range(5))
    )

    assert len({session.session_id for session in answers}) == 1


async def test_two_instances_seat_twenty_of_sixty_and_fifty_first_arrivals_share_sessions(bus, start):
    await start("two")
    session = await call(bus, CREATE_SESSION, CreateSession(zone_id="prontera"))
    joins = (
        call(bus, JOIN_SESSION, JoinSession(session=session.session_id, player_id=f"player-{number}"), deadline=PATIENT)
        for number in range(60)
    )
    outcomes = await asyncio.gather(*joins, return_exceptions=True)
    failed = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    refused = [failure.refusal.code for failure in failed if isinstance(failure, RefusedError)]
    assert (refused, len(failed)) == ([Code.SESSION_FULL] * 40, 40), failed
    assert (await call(bus, GET_SESSION, NameSession(session=session.session_id))).current_players == 20
    await call(bus, END_SESSION, EndSession(session=session.session_id))

    arrivals = (
        call(bus, ENTER_ZONE, EnterZone(zone_id="geffen", player_id=f"new-{number}"), deadline=PATIENT)
        for number in range(50)
    )
    entered = await asyncio.gather(*arrivals)
    assert len({outcome.session_id for outcome in entered}) == 3


@pytest.mark.parametrize(("zone", "status"), [("prontera", SessionStatus.FALLBACK), ("stern", SessionStatus.FAILED)])
async def test_what_the_loss_of_a_host_does_to_its_sessions_says_their_zone(bus, zone, status):
    told = await heard(bus, "p2p.events.sessions.>", SessionFact)
    session = await call(bus, CREATE_SESSION, CreateSession(zone_id=zone, host_id="host-9", player_ids=("a",)))
    fact = a_host_fact("host-9", at=session.created_at)

    subject = HOST_OFFLINE.of(host_id="host-9")
    await publish(bus, subject, fact.model_dump_json().encode(), message_id=fact.event_id)

    async def lost():
        question = NameSession(session=session.session_id)
        return (await call(bus, GET_SESSION, question, deadline=PATIENT)).status is status

    await eventually(lost, within=15)
    await eventually(lambda: told and told[-1][1].reason == "host_lost")


async def test_what_a_player_reports_is_that_player_s_word(bus):
    session = await call(bus, CREATE_SESSION, CreateSession(zone_id="prontera", player_ids=("a", "b", "c")))
    for player, latency in (("a", 20), ("b", 30), ("c", 9000)):
        word = ReportMetrics(session=session.session_id, average_latency_ms=latency)
        reported = await call(bus, REPORT_METRICS, word, caller=Caller("player", player))
    assert reported.average_latency_ms == 30
    word = ReportMetrics(session=session.session_id, average_latency_ms=40)
    assert (await call(bus, REPORT_METRICS, word, caller=Caller("server", "game"))).average_latency_ms == 40


async def test_a_player_is_named_where_no_token_does_and_a_token_is_believed_before(bus):
    session = await call(bus, CREATE_SESSION, CreateSession(zone_id="prontera", player_ids=("a", "b", "c")))
    for player, latency in (("a", 20), ("b", 30), ("c", 9000)):
        word = ReportMetrics(session=session.session_id, player_id=player, average_latency_ms=latency)
        reported = await call(bus, REPORT_METRICS, word)
    assert reported.average_latency_ms == 30
    lie = ReportMetrics(session=session.session_id, player_id="a", average_latency_ms=9000)
    assert (await call(bus, REPORT_METRICS, lie, caller=Caller("player", "c"))).average_latency_ms == 30


async def test_a_figure_that_cannot_be_is_refused_and_changes_nothing(bus):
    session = await call(bus, CREATE_SESSION, CreateSession(zone_id="prontera", player_ids=("a",)))
    for measure in ("average_latency_ms", "packet_loss_percent", "bandwidth_usage_mbps", "quality_score"):
        for lie in ("NaN", "Infinity", "-Infinity", "-1", "1e10", '"fast"', "[]"):
            asked = f'{{"session": "{session.session_id}", "{measure}": {lie}}}'
            reply = await bus.request(REPORT_METRICS.subject, asked.encode(), timeout_s=5)
            assert Refusal.model_validate_json(reply.data).code is Code.INVALID, asked
    assert await call(bus, GET_SESSION, NameSession(session=session.session_id)) == session


async def test_a_zone_that_is_switched_off_is_heard(bus):
    session = await call(bus, CREATE_SESSION, CreateSession(zone_id="prontera", player_ids=("a",)))
    zone = a_zone("prontera").model_copy(update={"p2p_enabled": False})
    fact = ZoneFact(event_id=new_event_id(), occurred_at=NOON, revision=1, zone_id="prontera", zone=zone)
    subject = ZONE_CHANGED.of(zone_id="prontera")
    await publish(bus, subject, fact.model_dump_json().encode(), message_id=fact.event_id)

    async def line():
        history = await call(bus, LIST_SESSION_EVENTS, ListSessionEvents(session=session.session_id))
        return history.items[-1] if history.items[-1].event == "fell-back" else None

    assert (await eventually(line)).reason == "p2p_disabled"


async def test_sessions_left_over_when_peer_to_peer_is_switched_off_fall_back(nats_url, postgres_url, monkeypatch):
    settings = {"nats_url": nats_url, "postgres_url": postgres_url}
    async with beside_zone_manager(nats_url) as bus:
        async with service(Settings(**settings, instance="before")):
            session = await call(bus, CREATE_SESSION, CreateSession(zone_id="prontera", player_ids=("a",)))
        monkeypatch.setenv("ENABLE_P2P", "false")
        async with service(Settings(**settings, instance="after")):
            left = await call(bus, GET_SESSION, NameSession(session=session.session_id))
    assert (left.status, left.connected_players) == (SessionStatus.FALLBACK, ("a",))


async def test_a_host_that_was_deleted_and_registers_anew_keeps_what_it_gets_then(bus):
    async def tell(subject, host_id, revision):
        fact = a_host_fact(host_id, revision=revision, at=before.created_at)
        await publish(bus, subject.of(host_id=host_id), fact.model_dump_json().encode(), message_id=fact.event_id)

    async def played_on(host_id, player):
        question = CreateSession(zone_id="prontera", host_id=host_id, player_ids=(player,))
        return await call(bus, CREATE_SESSION, question)

    async def status(session):
        return (await call(bus, GET_SESSION, NameSession(session=session.session_id))).status

    async def fell_back(session):
        return await status(session) is SessionStatus.FALLBACK

    async def registration_is_taken():
        consumer = await bus.client.jetstream(timeout=patient(5)).consumer_info(
            "EVENTS", "session_manager-host-registered"
        )
        return consumer.ack_floor is not None and consumer.ack_floor.consumer_seq == 1

    before, elsewhere = await played_on("host-9", "a"), await played_on("host-8", "b")
    await tell(HOST_DELETED, "host-9", 1)
    await eventually(lambda: fell_back(before))
    await tell(HOST_REGISTERED, "host-9", 2)
    await eventually(registration_is_taken)

    after = await played_on("host-9", "c")
    await tell(HOST_OFFLINE, "host-8", 3)
    await eventually(lambda: fell_back(elsewhere))

    assert await status(after) is SessionStatus.ACTIVE


async def test_a_gateway_s_word_is_heard(bus):
    session = await call(bus, ENTER_ZONE, EnterZone(zone_id="prontera", player_id="a", socket=True))
    fact = a_presence("a", session.session_id, at=session.created_at)

    subject = PEER_ENTERED.of(gateway_id="gateway-1")
    await publish(bus, subject, fact.model_dump_json().encode(), message_id=fact.event_id)

    async def heard_of():
        consumer = await bus.client.jsm(timeout=patient(5)).consumer_info("EVENTS", "session_manager-peer-entered")
        return consumer.ack_floor is not None and consumer.ack_floor.consumer_seq == 1

    await eventually(heard_of)


async def test_a_tick_takes_effect_and_is_announced_once_however_often_it_is_told(bus):
    told = await heard(bus, "p2p.events.jobs.>", JobFact)
    tick = JobDue(job=JobName.SESSION_CLEANUP, due_at=NOON, fence=1)
    another = tick.model_copy(update={"job": JobName.SESSION_HEALTH})

    for number, due in enumerate((tick, tick, another)):
        subject = JOB_DUE.of(job=due.job)
        await publish(bus, subject, due.model_dump_json().encode(), message_id=f"tick-{number}")
        await eventually(lambda: _nothing_waits(bus), of="the ticks' being taken")

    await eventually(lambda: len(told) == 2, of="both jobs' announcements")
    assert [(event, fact.job) for event, fact in told] == [
        ("done", JobName.SESSION_CLEANUP),
        ("done", JobName.SESSION_HEALTH),
    ]


async def _nothing_waits(bus):
    return (await bus.client.jsm(timeout=patient(5)).stream_info("JOBS")).state.messages == 0
