"""A host agent and its players, in one process, over real WebRTC."""

import asyncio
from datetime import timedelta
from typing import Any

import aioice.ice
import pytest
from aiortc import RTCIceTransport
from contracts.frames import SessionReleased
from contracts.hosts import Heartbeat, RegisterHost
from sdk import HostAgent, OnClose, PlayerConnected, PlayerGone, ReplacedError, SignalingLost
from sdk.descriptions import ufrag_of
from sdk.player import Player
from testkit.eventually import eventually
from testkit.patience import patient, within

from libs.sdk.tests.aiortc_player import aiortc_player

HOST = RegisterHost(host_id="host-1", player_id="player-1", player_name="One", cpu_cores=4)


async def echo(channel, message):
    await channel.send(message)


def agent_for(stand_in, **more):
    return HostAgent(stand_in.url, HOST, **{"on_message": echo, **more})


async def test_a_player_who_enters_the_zone_talks_to_the_host(stand_in):
    async with agent_for(stand_in), aiortc_player(stand_in.url, "anna") as anna:
        channel = await anna.enter("prontera")
        channel.send("hello")
        assert await anna.heard.get() == "hello"
        channel.send(b"\x00\x01")
        assert await anna.heard.get() == b"\x00\x01"


async def test_the_host_hears_who_speaks_and_in_which_session(stand_in):
    heard: asyncio.Queue[Any] = asyncio.Queue()

    async def hear(channel, message):
        heard.put_nowait((channel.session_id, channel.player_id, channel.label, message))

    async with agent_for(stand_in, on_message=hear), aiortc_player(stand_in.url, "anna") as anna:
        (await anna.enter("prontera")).send("hello")
        assert await heard.get() == (anna.joined["session_id"], "anna", "game", "hello")


async def test_messages_of_one_player_are_handled_in_order_one_at_a_time(stand_in):
    handled = []
    all_handled = asyncio.Event()

    async def slow_at_first(_, message):
        handled.append(f"begin {message}")
        await asyncio.sleep(0)
        handled.append(f"end {message}")
        if message == "9":
            all_handled.set()

    async with agent_for(stand_in, on_message=slow_at_first), aiortc_player(stand_in.url, "anna") as anna:
        channel = await anna.enter("prontera")
        for number in range(10):
            channel.send(str(number))
        await all_handled.wait()
    assert handled == [f"{what} {number}" for number in range(10) for what in ("begin", "end")]


async def test_an_error_in_on_message_costs_that_message_alone(stand_in):
    async def picky(channel, message):
        if message == "bad":
            raise ValueError(message)
        await channel.send(message)

    async with agent_for(stand_in, on_message=picky), aiortc_player(stand_in.url, "anna") as anna:
        channel = await anna.enter("prontera")
        channel.send("bad")
        channel.send("good")
        assert await anna.heard.get() == "good"


async def test_a_broadcast_reaches_all_players_of_the_session(stand_in):
    async with (
        agent_for(stand_in) as agent,
        aiortc_player(stand_in.url, "anna") as anna,
        aiortc_player(stand_in.url, "ben") as ben,
    ):
        await anna.enter("prontera")
        await ben.enter("prontera")
        assert await agent.broadcast("noon", anna.joined["session_id"]) == 2
        assert await agent.broadcast("noon", "another session") == 0
        assert [await anna.heard.get(), await ben.heard.get()] == ["noon", "noon"]


async def test_round_trips_are_measured_on_the_players_connection(stand_in):
    async with agent_for(stand_in) as agent, aiortc_player(stand_in.url, "anna") as anna:
        await anna.enter("prontera")
        round_trip = await eventually(lambda: agent.channels()[0].round_trip)
        assert timedelta(0) < round_trip < timedelta(seconds=patient(1))


async def test_beats_say_what_was_measured_and_the_callback_has_the_last_word(stand_in):
    def with_loss(measured):
        return measured.model_copy(update={"packet_loss_percent": 1.5})

    async with (
        agent_for(stand_in, beat_every=timedelta(milliseconds=50), measure=with_loss),
        aiortc_player(stand_in.url, "anna") as anna,
    ):
        await anna.enter("prontera")
        await stand_in.until(lambda: stand_in.beats and "latency_ms" in stand_in.beats[-1])
        beat = Heartbeat.model_validate(stand_in.beats[-1])
        assert (beat.current_players, beat.current_zones, beat.packet_loss_percent) == (1, 1, 1.5)


async def test_a_host_that_the_registry_forgot_registers_again(stand_in):
    async with agent_for(stand_in, beat_every=timedelta(milliseconds=20)):
        stand_in.hosts.clear()
        await stand_in.until(lambda: "host-1" in stand_in.hosts)


async def test_a_player_who_leaves_is_gone(stand_in):
    events: asyncio.Queue[Any] = asyncio.Queue()
    async with agent_for(stand_in, on_event=events.put_nowait) as agent, aiortc_player(stand_in.url, "anna") as anna:
        await anna.enter("prontera")
        await next_of(PlayerConnected, events)
        await anna.peer.close()
        gone = await next_of(PlayerGone, events)
        assert (gone.player_id, agent.channels()) == ("anna", [])


async def test_a_new_offer_of_a_player_takes_the_place_of_the_connection_before(stand_in):
    async with agent_for(stand_in) as agent, aiortc_player(stand_in.url, "anna") as before:
        await before.enter("prontera")
        async with aiortc_player(stand_in.url, "anna") as after:
            channel = await after.enter("prontera")
            await before.closed.wait()
            channel.send("again")
            assert await after.heard.get() == "again"
            assert len(agent.channels()) == 1


async def test_players_of_a_released_session_are_disconnected(stand_in):
    async with agent_for(stand_in) as agent, aiortc_player(stand_in.url, "anna") as anna:
        await anna.enter("prontera")
        released = {"type": "session-released", "session_id": anna.joined["session_id"], "reason": "ended"}
        await stand_in.send("host-1", released)
        await anna.closed.wait()
        assert agent.sessions == {}


async def test_players_who_go_to_another_host_by_plan_are_served_until_they_are_there(stand_in):
    events: asyncio.Queue[Any] = asyncio.Queue()
    async with agent_for(stand_in, on_event=events.put_nowait) as agent, aiortc_player(stand_in.url, "anna") as anna:
        channel = await anna.enter("prontera")
        released = {"type": "session-released", "session_id": anna.joined["session_id"], "reason": "host_draining"}
        await stand_in.send("host-1", released)
        await next_of(SessionReleased, events)
        assert agent.sessions == {}
        channel.send("still here")
        assert await anna.heard.get() == "still here"


async def test_no_message_of_a_player_who_goes_over_by_plan_is_lost(stand_in):
    def named(host_id):
        async def answer(channel, message):
            await channel.send(f"{host_id} {message}")

        machine = RegisterHost(host_id=host_id, player_id="p", player_name="P")
        return HostAgent(stand_in.url, machine, on_message=answer, on_close=OnClose.KEEP)

    async with named("host-1"), named("host-2"), aiortc_player(stand_in.url, "anna") as anna:
        carrier, sent = await anna.enter("prontera"), 0
        await stand_in.move(anna.joined["session_id"], "host-2", "host_draining")
        going_over = asyncio.create_task(anna.follow())
        answers: list[str] = []
        while len(answers) < 3 or not answers[-3].startswith("host-2"):
            carrier.send(str(sent := sent + 1))
            async with within(10):
                answers.append(str(await anna.heard.get()))
            if going_over.done():
                carrier = going_over.result()
        assert [int(answer.split()[1]) for answer in answers] == list(range(1, sent + 1))
        assert answers[0].startswith("host-1")


async def test_a_host_that_drains_ends_when_its_players_are_elsewhere(stand_in):
    stand_in.drains_for = "host_draining"
    events: asyncio.Queue[Any] = asyncio.Queue()
    async with aiortc_player(stand_in.url, "anna") as anna:

        async def host():
            async with agent_for(stand_in, on_close=OnClose.DRAIN, on_event=events.put_nowait):
                await anna.enter("prontera")

        hosting = asyncio.create_task(host())
        await next_of(SessionReleased, events)
        assert not hosting.done()
        assert not anna.closed.is_set()
        await anna.peer.close()
        await hosting


async def test_a_host_ends_though_a_players_connection_is_being_closed(stand_in, monkeypatch):
    closing, may_close, stop = asyncio.Event(), asyncio.Event(), RTCIceTransport.stop

    async def slow(transport):
        closing.set()
        await may_close.wait()
        await stop(transport)

    async def host():
        async with agent_for(stand_in):
            await asyncio.Event().wait()

    hosting = asyncio.create_task(host())
    await stand_in.until(lambda: "host-1" in stand_in.sockets)
    async with aiortc_player(stand_in.url, "anna") as anna:
        await anna.enter("prontera")
        monkeypatch.setattr(RTCIceTransport, "stop", slow)
        released = {"type": "session-released", "session_id": anna.joined["session_id"], "reason": "ended"}
        await stand_in.send("host-1", released)
        await closing.wait()
        hosting.cancel()
        await stand_in.until(lambda: "host-1" not in stand_in.sockets)
        may_close.set()
        done, _ = await asyncio.wait([hosting], timeout=patient(5))
        assert done


async def test_a_lost_signaling_connection_comes_back_and_players_stay(stand_in):
    events: asyncio.Queue[Any] = asyncio.Queue()
    async with agent_for(stand_in, on_event=events.put_nowait), aiortc_player(stand_in.url, "anna") as anna:
        channel = await anna.enter("prontera")
        await stand_in.close("host-1", 1012)
        await next_of(SignalingLost, events)
        await stand_in.until(lambda: "host-1" in stand_in.sockets)
        channel.send("still here")
        assert await anna.heard.get() == "still here"


async def test_a_session_that_ended_while_signaling_was_away_is_released(stand_in):
    async with agent_for(stand_in) as agent, aiortc_player(stand_in.url, "anna") as anna:
        await anna.enter("prontera")
        stand_in.sessions.clear()
        await stand_in.close("host-1", 1012)
        await anna.closed.wait()
        await eventually(lambda: not agent.sessions)


@pytest.mark.parametrize(
    ("offer", "wrong"),
    [("v=0 nonsense", "sdp text"), ({"sdp": 7}, "no text"), (["offer"], "a list"), ({}, "no sdp"), ("", "empty")],
)
async def test_an_offer_that_makes_no_sense_is_reported_and_the_host_lives(stand_in, offer, wrong):
    async with agent_for(stand_in), aiortc_player(stand_in.url, "anna") as anna:
        joined = await anna.ask({"type": "enter", "zone_id": "prontera"}, "session-joined")
        to = {"to": "host-1", "session_id": joined["session_id"]}
        await anna.send({"type": "offer", "sdp": offer, **to})
        for candidate in (7, {"candidate": 7}, "candidate:", "candidate:1 2", {}, None):
            await anna.send({"type": "ice-candidate", "candidate": candidate, **to})
        channel = await anna.enter("prontera")
        channel.send("hello")
        assert await anna.heard.get() == "hello"


async def test_closing_drains_the_host_and_lets_what_was_sent_leave(stand_in):
    async with aiortc_player(stand_in.url, "anna") as anna:
        async with agent_for(stand_in) as agent:
            await anna.enter("prontera")
            await agent.broadcast("goodbye" * 1000)
        assert await anna.heard.get() == "goodbye" * 1000
        await anna.closed.wait()
    assert stand_in.drained == ["host-1"]


async def test_closing_may_unregister(stand_in):
    async with agent_for(stand_in, on_close=OnClose.UNREGISTER):
        assert "host-1" in stand_in.hosts
    assert stand_in.hosts == {}


@pytest.mark.parametrize(
    ("reason", "gone"), [("left", True), ("moved", True), ("kicked", True), ("disconnected", False)]
)
async def test_a_player_who_has_left_is_let_go_and_one_who_lost_the_socket_plays_on(stand_in, reason, gone):
    async with agent_for(stand_in) as agent, aiortc_player(stand_in.url, "anna") as anna:
        channel = await anna.enter("prontera")
        session_id = anna.joined["session_id"]
        left = {"type": "peer-left", "peer_id": "anna", "session_id": session_id, "reason": reason}
        await stand_in.send("host-1", left)
        if gone:
            await eventually(lambda: not agent.channels())
            await anna.closed.wait()
        else:
            channel.send("still here")
            assert await anna.heard.get() == "still here"


async def test_an_answer_names_its_offer_and_candidates_of_another_are_passed_over(stand_in, monkeypatch):
    taken: list[Any] = []
    monkeypatch.setattr(Player, "_take_candidate", lambda _self, _peer, candidate: noted(taken, candidate))
    async with agent_for(stand_in), aiortc_player(stand_in.url, "anna") as anna:
        await anna.enter("prontera")
        ufrag = ufrag_of(anna.peer.localDescription.sdp)
        assert anna.answer["ufrag"] == ufrag
        to = {"to": "host-1", "session_id": anna.joined["session_id"]}
        for candidate in ({"candidate": "a", "usernameFragment": "other"}, "b ufrag other", f"c ufrag {ufrag}", "d"):
            await anna.send({"type": "ice-candidate", "candidate": candidate, **to})
        await eventually(lambda: len(taken) == 2)
    assert taken == [f"c ufrag {ufrag}", "d"]


async def noted(taken, candidate):
    taken.append(candidate)


async def test_a_name_that_cannot_be_looked_up_costs_that_candidate_alone(stand_in, monkeypatch):
    async def held(*_, **__):
        raise OSError(98, "Address already in use")

    monkeypatch.setattr(aioice.ice, "get_or_create_mdns_protocol", held)
    name = "candidate:1 1 udp 2122260223 0b8cb9d2-0a5b-4a6c.local 50000 typ host"
    async with agent_for(stand_in), aiortc_player(stand_in.url, "anna") as anna:
        anna.joined = await anna.ask({"type": "enter", "zone_id": "prontera"}, "session-joined")
        anna.in_offer = f"a={name}\r\n"
        channel = await anna.connect()
        to = {"to": "host-1", "session_id": anna.joined["session_id"]}
        await anna.send({"type": "ice-candidate", "candidate": name, **to})
        await anna.send({"type": "ice-candidate", "candidate": {"candidate": name, "sdpMid": "0"}, **to})
        channel.send("still here")
        assert await anna.heard.get() == "still here"


@pytest.mark.parametrize("on_close", [OnClose.UNREGISTER, OnClose.DRAIN])
@pytest.mark.parametrize("it_knows", [True, False])
async def test_a_host_that_was_replaced_has_nothing_left_to_say(stand_in, on_close, it_knows):
    async with agent_for(stand_in, on_close=on_close) as first:
        if it_knows:
            await stand_in.close("host-1", 4001)
            with pytest.raises(ReplacedError):
                await first.until_stopped()
        else:  # its successor has registered, and is not connected yet
            stand_in.hosts["host-1"] = stand_in.hosts["host-1"] | {"run_id": "of another"}
    assert [*stand_in.hosts] == ["host-1"]
    assert stand_in.drained == []


async def next_of(kind, events):
    async with within(10):
        while not isinstance(event := await events.get(), kind):
            pass
    return event
