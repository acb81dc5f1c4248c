"""Game servers and AI servers on a real NATS, with the coordinator's streams and a stand-in for its services."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import nats
import pytest
from contracts.grants import SESSION_MANAGER
from contracts.hosts import FIND_HOSTS, FindHosts, Heartbeat
from contracts.npcs import Environment, NpcState
from contracts.refusals import Code
from contracts.sessions import SessionFact
from contracts.streams import EVENTS, NPC
from contracts.zones import ZONE_CHANGED, Zone
from nats.js.api import StreamConfig
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sdk import AiServer, GameServer, RefusedError, UnreachableError, ai_server
from sdk.game_server import SESSION_FACTS
from sdk.nats_link import _ReturningClient
from testkit.eventually import eventually
from testkit.examples import example
from testkit.patience import patient, within
from testkit.tasks import end

NOW = "2026-01-01T00:00:00Z"

ZONE = example(Zone, zone_id="1@tower", max_players=100).model_dump(mode="json")


def test_a_game_server_hears_all_that_session_manager_tells_of_sessions():
    told = {subject for subject in SESSION_MANAGER.tells if subject.body is SessionFact}
    assert set(SESSION_FACTS) == told


@pytest.fixture
async def client(nats_url):
    """Plain NATS, as any other program would use it; the coordinator's streams are there."""
    connection = await nats.connect(nats_url, max_reconnect_attempts=-1, reconnect_time_wait=0.1)
    for stream in (EVENTS, NPC):
        await connection.jetstream(timeout=patient(5)).add_stream(
            StreamConfig(name=stream.name, subjects=[*stream.subjects], max_msgs_per_subject=stream.max_per_subject)
        )
    yield connection
    await connection.close()


async def announce(client, revision, **more):
    fact = {"event_id": f"event-{revision}", "occurred_at": NOW, "revision": revision, "zone_id": "1@tower"}
    subject = ZONE_CHANGED.of(zone_id="1@tower")
    await client.jetstream(timeout=patient(5)).publish(subject, json.dumps(fact | {"zone": ZONE}).encode(), **more)


async def test_a_heartbeat_carries_what_was_measured_and_nothing_else(client, nats_url):
    beats = await client.subscribe("p2p.heartbeat.*")
    await client.flush()
    async with GameServer(nats_url) as server:
        await server.heartbeat("host.1", Heartbeat(latency_ms=12.5))
    beat = await beats.next_msg(timeout=patient(5))
    assert (beat.subject, json.loads(beat.data)) == ("p2p.heartbeat.host%2E1", {"latency_ms": 12.5})


async def test_facts_are_typed_and_carry_their_trace(client, nats_url):
    traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    async with GameServer(nats_url) as server, server.zones() as events:
        await announce(client, 1, headers={"traceparent": traceparent})
        event = await anext(events)
    assert (event.what, event.fact.zone.max_players, event.traceparent) == ("changed", 100, traceparent)


async def test_facts_of_before_are_not_heard_unless_asked_for(client, nats_url):
    await announce(client, 1)
    async with GameServer(nats_url) as server:
        async with server.zones() as events:
            await announce(client, 2)
            assert (await anext(events)).fact.revision == 2
        async with server.zones(since=datetime.now(UTC) - timedelta(hours=1)) as events:
            assert [(await anext(events)).fact.revision for _ in range(2)] == [1, 2]


async def test_a_fact_that_cannot_be_read_is_passed_over(client, nats_url):
    async with GameServer(nats_url) as server, server.zones() as events:
        await client.jetstream(timeout=patient(5)).publish(ZONE_CHANGED.of(zone_id="x"), b"[]")
        await announce(client, 7)
        assert (await anext(events)).fact.revision == 7


async def test_no_fact_is_missing_and_none_comes_twice_when_nats_restarts(client, nats_server):
    async with GameServer(nats_server.url) as server, server.zones() as events:
        await announce(client, 1)
        assert (await anext(events)).fact.revision == 1
        await nats_server.restart()
        for revision in (2, 3):
            await announce(client, revision)
        async with within(20):
            assert [(await anext(events)).fact.revision for _ in range(2)] == [2, 3]


@pytest.mark.parametrize("steps", range(8))
async def test_who_is_cancelled_just_when_a_message_comes_hears_no_more(client, nats_url, monkeypatch, steps):
    """Before Python 3.12 `asyncio.wait_for`, by which nats-py waits, may give a result and forget a cancellation."""
    process, heard = _ReturningClient._process_msg, asyncio.Event()

    async def hear():
        async with GameServer(nats_url) as server, server.zones() as events:
            async for _ in events:
                heard.set()

    async def cancelled_some_steps_later(self, *message):
        await process(self, *message)
        if heard.is_set():  # it waits for the next
            for _ in range(steps):
                await asyncio.sleep(0)
            hearing.cancel()

    hearing = asyncio.create_task(hear())

    async def told():
        await announce(client, 1)
        return heard.is_set()

    await eventually(told, of="a fact heard")
    monkeypatch.setattr(_ReturningClient, "_process_msg", cancelled_some_steps_later)
    await asyncio.wait([hearing], timeout=patient(5))
    assert hearing.cancelled()


async def test_a_question_is_answered_typed(client, nats_url):
    async def found(msg):
        assert json.loads(msg.data) == {"seats": 2}
        assert int(msg.headers["p2p-deadline"]) > datetime.now(UTC).timestamp() * 1000
        await msg.respond(json.dumps({"candidates": []}).encode())

    await client.subscribe(FIND_HOSTS.subject, cb=found)
    await client.flush()
    async with GameServer(nats_url) as server:
        answer = await server.ask(FIND_HOSTS, FindHosts(seats=2))
    assert answer.candidates == ()


async def test_a_refusal_comes_with_its_code(client, nats_url):
    async def refuse(msg):
        refusal = json.dumps({"code": "host_not_found", "detail": "There is no such host."}).encode()
        await client.publish(msg.reply, refusal, headers={"Nats-Service-Error": "host_not_found"})

    await client.subscribe(FIND_HOSTS.subject, cb=refuse)
    await client.flush()
    async with GameServer(nats_url) as server:
        with pytest.raises(RefusedError, match="no such host") as refused:
            await server.ask(FIND_HOSTS, FindHosts())
    assert refused.value.code is Code.HOST_NOT_FOUND


async def test_nobody_to_answer_is_said_at_once(client, nats_url):
    async with GameServer(nats_url) as server:
        with pytest.raises(UnreachableError, match=r"p2p\.hosts\.find.*nobody answers"):
            await server.ask(FIND_HOSTS, FindHosts())


async def test_no_answer_in_time_is_said_when_the_time_is_over(client, nats_url):
    await client.subscribe(FIND_HOSTS.subject)
    await client.flush()
    async with GameServer(nats_url) as server:
        with pytest.raises(UnreachableError, match="no answer within"):
            await server.ask(FIND_HOSTS, FindHosts(), within=timedelta(milliseconds=50))


async def test_a_publish_is_a_span_and_carries_its_trace(client, nats_url, monkeypatch):
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(ai_server, "TRACER", provider.get_tracer("p2p.sdk"))
    async with AiServer(nats_url) as server:
        await server.publish("prontera", NpcState(npc_id="smith"), NpcState(npc_id="guard"))
    spans = {(span.attributes or {})["p2p.npc_id"]: span.context for span in exporter.get_finished_spans()}
    for npc_id, context in spans.items():
        message = await client.jetstream(timeout=patient(5)).get_last_msg("NPC", f"p2p.npc.prontera.{npc_id}")
        told = message.headers["traceparent"].split("-")[1:3]
        assert told == [trace.format_trace_id(context.trace_id), trace.format_span_id(context.span_id)]
    assert {*spans} == {"smith", "guard"}
    assert spans["smith"].trace_id != spans["guard"].trace_id
    provider.shutdown()


async def test_npc_state_is_stored_as_one_last_value_per_npc(client, nats_url):
    async with AiServer(nats_url) as server:
        await server.publish("1@tower", NpcState(npc_id="smith", x=1), NpcState(npc_id="guard", urgent=True))
        await server.publish("1@tower", NpcState(npc_id="smith", x=2))
        await server.remove("1@tower", "guard")
        await server.set_environment("1@tower", Environment.model_validate({"weather": "rain", "moon": "full"}))
    smith = await stored(client, "p2p.npc.1%40tower.smith")
    guard = await stored(client, "p2p.npc.1%40tower.guard")
    assert (smith["x"], guard["removed"]) == (2, True)
    assert await stored(client, "p2p.environment.1%40tower") == {"weather": "rain", "moon": "full"}


async def test_who_ends_in_an_outage_with_something_unsaid_just_ends(nats_server, caplog):
    async with AiServer(nats_server.url) as server:
        await nats_server.stop()
        await eventually(lambda: "NATS is away" in caplog.text)
        publishing = asyncio.create_task(server.publish("prontera", NpcState(npc_id="smith", x=1)))
        await eventually(lambda: server._link.client.pending_data_size)
        await end(publishing)
    assert "what waited for it is lost" in caplog.text
    await nats_server.start()


async def test_a_publish_during_an_outage_is_stored_once_when_nats_is_back(client, nats_server):
    async with AiServer(nats_server.url) as server:
        await nats_server.stop()
        publishing = asyncio.create_task(server.publish("prontera", NpcState(npc_id="smith", x=1)))
        await nats_server.start()
        await publishing
    state = (await client.jetstream(timeout=patient(5)).stream_info("NPC")).state
    assert (state.messages, state.last_seq) == (1, 1)


async def test_npc_events_of_a_zone_are_heard(client, nats_url):
    event = {"npc_id": "smith", "event": "greeted", "data": {"by": "anna"}, "session_id": "s", "host_id": "h"}
    async with AiServer(nats_url) as server, server.npc_events("1@tower") as events:
        for zone, subject in (("prontera", "prontera"), ("1@tower", "1%40tower")):
            body = json.dumps(event | {"zone_id": zone}).encode()
            await client.publish(f"p2p.npcevents.{subject}.smith", body)
        heard = await anext(events)
    assert (heard.zone_id, heard.event, heard.data) == ("1@tower", "greeted", {"by": "anna"})


async def stored(client, subject):
    return json.loads((await client.jetstream(timeout=patient(5)).get_last_msg("NPC", subject)).data)
