"""NPCs on their way through a host: from the gateway's socket to the players' data channels, and back as events."""

import json
import logging
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from contracts.npcs import NpcFeed, NpcRecord
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sdk import NotHostedError, feed_channel, feeding
from testkit.eventually import eventually

from libs.sdk.tests.aiortc_player import aiortc_player
from libs.sdk.tests.test_agent_traces import TRACE_ID, TRACEPARENT
from libs.sdk.tests.test_host_agent import agent_for

GUARD = {"npc_id": "guard", "name": "Guard", "x": 1.0, "y": 2.0}
SMITH = {"npc_id": "smith", "x": 5.0, "y": 6.0}


async def subscribed(stand_in, times=1):
    await stand_in.until(lambda: len(stand_in.frames_from("host-1", "subscribe")) >= times)


@asynccontextmanager
async def hosting(stand_in, **more):
    """A host of a session of Prontera that has heard of the guard."""
    async with agent_for(stand_in, **more) as agent:
        await stand_in.assign("session-1", "prontera", "host-1")
        await subscribed(stand_in)
        await stand_in.tell_npcs("host-1", "prontera", 10, GUARD, full=True, environment={"weather": "rain"})
        await eventually(lambda: agent.npcs("prontera"))
        yield agent


async def told(player):
    return json.loads(await player.npcs.get())


async def test_the_host_knows_the_npcs_of_its_zone_until_it_is_released(stand_in):
    async with hosting(stand_in) as agent:
        assert stand_in.frames_from("host-1", "subscribe") == [{"type": "subscribe", "feed": "prontera"}]
        await stand_in.tell_npcs("host-1", "prontera", 11, {**GUARD, "x": 9.0})
        await stand_in.tell_npcs("host-1", "geffen", 1, SMITH, full=True)
        await eventually(lambda: agent.npcs("prontera")["guard"].x == 9)
        assert agent.npcs("geffen") == {}
        await stand_in.send("host-1", {"type": "session-released", "session_id": "session-1", "reason": "ended"})
        await eventually(lambda: not agent.npcs("prontera"))


async def test_a_missing_number_is_asked_for_and_a_reconnect_asks_anew(stand_in):
    async with hosting(stand_in) as agent:
        await stand_in.tell_npcs("host-1", "prontera", 12, SMITH)
        await subscribed(stand_in, 2)
        assert [*agent.npcs("prontera")] == ["guard"]
        await stand_in.tell_npcs("host-1", "prontera", 12, SMITH, full=True)
        await eventually(lambda: [*agent.npcs("prontera")] == ["smith"])
        await stand_in.close("host-1", 1012)
        await subscribed(stand_in, 3)
        await stand_in.tell_npcs("host-1", "prontera", 3, GUARD, full=True)
        await eventually(lambda: [*agent.npcs("prontera")] == ["guard"])


async def test_what_the_gateway_does_not_answer_is_asked_again(stand_in, monkeypatch):
    monkeypatch.setattr(feeding, "ASK_AGAIN_S", 0.05)
    async with agent_for(stand_in):
        await stand_in.assign("session-1", "prontera", "host-1")
        await subscribed(stand_in, 3)


async def test_a_player_hears_everything_first_and_then_what_changes(stand_in):
    async with hosting(stand_in), aiortc_player(stand_in.url, "anna") as anna:
        await anna.enter("prontera")
        await anna.open_feed()
        first = await told(anna)
        assert (first["type"], first["full"], first["seq"], first["npcs"]) == ("npc-state", True, 10, [GUARD])
        assert first["environment"] == {"weather": "rain"}
        await stand_in.tell_npcs("host-1", "prontera", 11, SMITH, removed=["guard"], stale=True)
        then = await told(anna)
        assert (then["full"], then["npcs"], then["removed"], then["stale"]) == (False, [SMITH], ["guard"], True)


async def test_the_feeds_channel_is_no_channel_of_the_game(stand_in):
    async with hosting(stand_in) as agent, aiortc_player(stand_in.url, "anna") as anna:
        game = await anna.enter("prontera")
        feed = await anna.open_feed()
        feed.send("hello?")
        feed.send(b"\xff")
        feed.send("[]")
        game.send("hello")
        assert await anna.heard.get() == "hello"
        assert [channel.label for channel in agent.channels()] == ["game"]


async def test_a_player_who_missed_something_is_told_everything_when_it_asks(stand_in):
    async with hosting(stand_in), aiortc_player(stand_in.url, "anna") as anna:
        await anna.enter("prontera")
        feed = await anna.open_feed()
        await told(anna)
        feed.send(json.dumps({"wanted": True}))
        assert (await told(anna))["full"]


async def test_a_player_who_was_there_before_the_feed_hears_it_when_it_comes(stand_in):
    async with agent_for(stand_in), aiortc_player(stand_in.url, "anna") as anna:
        await anna.enter("prontera")
        await anna.open_feed()
        await subscribed(stand_in)
        await stand_in.tell_npcs("host-1", "prontera", 10, GUARD, full=True)
        assert (await told(anna))["npcs"] == [GUARD]


async def test_a_slow_player_skips_changes_and_gets_the_latest_state(stand_in, monkeypatch):
    monkeypatch.setattr(feed_channel, "ROOM_BYTES", 2048)
    monkeypatch.setattr(feed_channel, "ROOM_AGAIN_BYTES", 1024)
    async with hosting(stand_in) as agent, aiortc_player(stand_in.url, "anna") as anna:
        await anna.enter("prontera")
        await anna.open_feed()
        await told(anna)
        long = {**SMITH, "name": "s" * 250}
        for seq in range(11, 211):
            # Into the host at once: the line has no time to empty between two.
            agent._feeding.hear(_message(seq, {**long, "x": float(seq)}))
        heard: list[dict[str, Any]] = []
        while not heard or heard[-1]["npcs"][-1].get("x") != 210:
            heard.append(await told(anna))
        assert len(heard) < 20
        assert (heard[-1]["full"], heard[-1]["seq"]) == (True, 210)


async def test_an_npcs_event_goes_back(stand_in):
    async with hosting(stand_in) as agent:
        await agent.npc_event("prontera", "guard", "poked", {"by": "anna"})
        await stand_in.until(lambda: stand_in.frames_from("host-1", "npc-event"))
        (frame,) = stand_in.frames_from("host-1", "npc-event")
        assert frame == {
            "type": "npc-event",
            "zone_id": "prontera",
            "npc_id": "guard",
            "event": "poked",
            "data": {"by": "anna"},
            "session_id": "session-1",
        }
        with pytest.raises(NotHostedError, match="'geffen'"):
            await agent.npc_event("geffen", "guard", "poked")


async def test_a_refused_subscription_is_said_in_the_log(stand_in, caplog):
    caplog.set_level(logging.WARNING)
    async with hosting(stand_in):
        refused = {"type": "error", "message": "not yours", "code": "forbidden", "in_reply_to": "subscribe"}
        await stand_in.send("host-1", refused)
        await eventually(lambda: "not yours (forbidden)" in caplog.text)


@pytest.fixture
def spans(monkeypatch):
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(feeding, "TRACER", provider.get_tracer("p2p.sdk"))
    yield exporter
    provider.shutdown()


async def test_an_urgent_changes_trace_goes_on_to_the_player(stand_in, spans):
    async with hosting(stand_in), aiortc_player(stand_in.url, "anna") as anna:
        await anna.enter("prontera")
        await anna.open_feed()
        assert "traceparent" not in await told(anna)
        await stand_in.tell_npcs("host-1", "prontera", 11, SMITH, traceparent=TRACEPARENT)
        heard = (await told(anna))["traceparent"]
    (span,) = spans.get_finished_spans()
    assert span.name == "pass npc-state on"
    assert heard == f"00-{TRACE_ID}-{trace.format_span_id(span.context.span_id)}-01"


async def test_a_host_that_records_nothing_passes_an_urgent_changes_trace_on(stand_in):
    async with hosting(stand_in), aiortc_player(stand_in.url, "anna") as anna:
        await anna.enter("prontera")
        await anna.open_feed()
        await told(anna)
        await stand_in.tell_npcs("host-1", "prontera", 11, SMITH, traceparent=TRACEPARENT)
        assert (await told(anna))["traceparent"] == TRACEPARENT


def _message(seq, npc):
    return NpcFeed(
        zone_id="prontera", seq=seq, ts=datetime(2026, 1, 1, tzinfo=UTC), full=False, npcs=(NpcRecord(**npc),)
    )
