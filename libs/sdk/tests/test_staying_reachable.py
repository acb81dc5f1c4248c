"""The host agent's signaling connection: when it comes back, and when coming back would be wrong."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from contracts.hosts import RegisterHost
from contracts.refusals import Code
from sdk import NotAllowedError, RefusedError, ReplacedError, SignalingConnected, SignalingLost, UnreachableError
from sdk.host_agent import HostAgent

from libs.sdk.tests.test_host_agent import agent_for, next_of


async def test_a_gateway_that_restarts_is_found_again(stand_in):
    events: asyncio.Queue[Any] = asyncio.Queue()
    async with agent_for(stand_in, on_event=events.put_nowait):
        await next_of(SignalingConnected, events)
        await stand_in.close("host-1", 1012, b"restarting")
        lost = await next_of(SignalingLost, events)
        assert "1012" in lost.reason
        await next_of(SignalingConnected, events)


async def test_sessions_are_told_again_after_a_reconnect(stand_in):
    events: asyncio.Queue[Any] = asyncio.Queue()
    async with agent_for(stand_in, on_event=events.put_nowait) as agent:
        await stand_in.assign("session-1", "prontera", "host-1")
        await stand_in.close("host-1", 1012)
        await next_of(SignalingLost, events)
        await next_of(SignalingConnected, events)
        assert [*agent.sessions] == ["session-1"]


async def test_a_gateway_that_asks_for_a_move_is_left_when_it_said(stand_in):
    events: asyncio.Queue[Any] = asyncio.Queue()
    async with agent_for(stand_in, on_event=events.put_nowait):
        await next_of(SignalingConnected, events)
        await stand_in.send("host-1", {"type": "reconnect", "after_ms": 30})
        lost = await next_of(SignalingLost, events)
        assert lost == SignalingLost("the gateway asked us to move", timedelta(0))
        await next_of(SignalingConnected, events)


async def test_a_close_after_the_request_to_move_waits_for_the_time_it_named(stand_in):
    events: asyncio.Queue[Any] = asyncio.Queue()
    async with agent_for(stand_in, on_event=events.put_nowait):
        await stand_in.send("host-1", {"type": "reconnect", "after_ms": 20_000})
        await stand_in.close("host-1", 1012)
        lost = await next_of(SignalingLost, events)
        assert timedelta(seconds=19) < lost.retry_in <= timedelta(seconds=20)


async def test_an_agent_whose_name_was_taken_over_stops_and_says_so(stand_in):
    async with agent_for(stand_in) as agent:
        await stand_in.close("host-1", 4001)
        with pytest.raises(ReplacedError, match="'host-1'"):
            await agent.until_stopped()


async def test_an_agent_that_is_not_allowed_stops_with_the_gateways_reason(stand_in):
    async with agent_for(stand_in) as agent:
        await stand_in.close("host-1", 1008, b"Invalid or expired authentication token")
        with pytest.raises(NotAllowedError, match="expired authentication token"):
            await agent.until_stopped()


async def test_entering_fails_when_the_gateway_does_not_let_the_host_in(stand_in):
    stand_in.refuse_sockets_with = 403
    with pytest.raises(NotAllowedError):
        await agent_for(stand_in).__aenter__()


async def test_entering_waits_for_a_gateway_that_is_not_ready(stand_in):
    stand_in.refuse_sockets_with = 503
    events: asyncio.Queue[Any] = asyncio.Queue()
    entering = asyncio.create_task(agent_for(stand_in, on_event=events.put_nowait).__aenter__())
    await next_of(SignalingLost, events)
    stand_in.refuse_sockets_with = 0
    agent = await entering
    await agent.__aexit__(None, None, None)


async def test_entering_says_when_nobody_is_there(stand_in, unused_tcp_port):
    stand_in.url = f"http://127.0.0.1:{unused_tcp_port}"
    with pytest.raises(UnreachableError, match=str(unused_tcp_port)):
        await agent_for(stand_in).__aenter__()


async def test_entering_says_why_the_registry_refused(stand_in):
    agent = HostAgent(
        stand_in.url + "/nowhere",
        RegisterHost(host_id="host-1", player_id="p", player_name="P"),
        on_message=lambda *_: asyncio.sleep(0),
    )
    with pytest.raises(RefusedError) as refused:
        await agent.__aenter__()
    assert refused.value.code is Code.INTERNAL
