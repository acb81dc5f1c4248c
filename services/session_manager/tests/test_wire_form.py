"""Sessions and facts get their wire form in SQL; here it is held against the contract's classes."""

import json

import pytest
from chassis import tracing
from chassis.tracing import SpanKind
from contracts import sessions as contract
from contracts.sessions import ReportMetrics, Session, SessionEvent, SessionFact, SessionHistory, SessionOutcome
from session_manager.handlers import Commands
from session_manager.sessions import read_ref

from services.session_manager.tests.world import RETURN

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"


def members(message):
    return set(message.model_fields)


async def a_session_with_everything(world):
    session = await world.create(player_ids=["a"])
    report = ReportMetrics(
        session=session.session_id,
        average_latency_ms=20.125,
        packet_loss_percent=0.1,
        bandwidth_usage_mbps=3,
        quality_score=99.5,
    )
    await world.lifecycle.report(report)
    await world.end(session.session_id)
    return session.session_id


async def test_a_session_has_exactly_the_members_of_the_contract(world):
    sent = json.loads(await world.questions.get(read_ref(await a_session_with_everything(world))))
    assert set(sent) == members(Session)
    assert Session.model_validate(sent).model_dump(mode="json").keys() == sent.keys()


async def test_times_are_in_utc_with_their_offset(world):
    sent = json.loads(await world.questions.get(read_ref(await a_session_with_everything(world))))
    assert sent["created_at"] == sent["ended_at"] == "2026-01-01T12:00:00+00:00"


async def test_a_fact_has_exactly_the_members_of_the_contract(world):
    await a_session_with_everything(world)
    rows = await world.database.fetch("outbox", "SELECT event_id, payload FROM outbox")
    for row in rows:
        sent = json.loads(row["payload"])
        assert set(sent) == members(SessionFact)
        assert set(sent["session"]) == members(Session)
        assert sent["event_id"] == str(row["event_id"])
    assert len({row["event_id"] for row in rows}) == len(rows)


@pytest.mark.parametrize(
    "event", ["created", "activated", "joined", "left", "ended", "failed", "migrating", "fell-back", "migrated"]
)
async def test_facts_go_to_the_subjects_of_the_contract(world, clock, zones, event):
    subject = getattr(contract, f"SESSION_{event.upper().replace('-', '_')}")
    zones.spare = False
    session = await world.create(player_ids=["z"], host_id="lost")
    waiting = await world.create(host_id="lost")
    pending = await world.create()
    await world.join(pending.session_id, "a")
    await world.leave(pending.session_id, "a")
    await world.end(pending.session_id)
    await world.database.execute("lose", "INSERT INTO lost_hosts VALUES ('lost', 1, $1, 1)", session.created_at)
    await world.fallback.leave_lost()
    zones.able = ["good"]
    await world.returning.bring_back()
    clock.advance(RETURN)
    await world.returning.bring_back()

    told = await world.database.fetch("outbox", "SELECT subject FROM outbox WHERE subject LIKE '%.' || $1", event)

    assert {row["subject"] for row in told} <= {
        subject.of(session_id=session.session_id),
        subject.of(session_id=waiting.session_id),
        subject.of(session_id=pending.session_id),
    }
    assert told


async def test_a_line_of_history_has_exactly_the_members_of_the_contract(world):
    session = await world.create()
    page = json.loads(await world.questions.list_events(read_ref(session.session_id), 10, None))
    assert set(page) == members(SessionHistory)
    assert set(page["items"][0]) == members(SessionEvent)


async def test_history_and_outbox_carry_the_trace_of_whoever_caused_them(world):
    with tracing.continued(PARENT, "a test", SpanKind.SERVER):
        session = await world.create()

    page = json.loads(await world.questions.list_events(read_ref(session.session_id), 10, None))
    [row] = await world.database.fetch("outbox", "SELECT traceparent FROM outbox")
    assert page["items"][0]["trace_id"] == PARENT.split("-")[1]
    assert row["traceparent"] == PARENT


async def test_an_outcome_is_the_session_and_a_message(world):
    session = await world.create()
    commands = Commands(world.lifecycle, world.seating, world.arrivals, world.migration)

    sent = json.loads(await commands.activate(contract.NameSession(session=session.session_id)))

    assert set(sent) == members(SessionOutcome)
    assert SessionOutcome.model_validate(sent).message == "The session is active."
