"""A host stands by for a session, with its state and its players connected, and takes over when theirs is killed."""

import asyncio
from typing import TypeVar

import httpx
from contracts.access import TokenAnswer
from contracts.frames import SessionAssigned, StandbyAssigned
from contracts.hosts import RegisterHost
from sdk import AgentEvent, HostAgent, OnClose, PlayerChannel
from testkit.admission import bearer_for
from testkit.eventually import eventually
from testkit.patience import within
from testkit.suites import RunningSuite

from libs.sdk.tests.aiortc_player import aiortc_player
from tests.journeys.test_losing_a_host import ZONE, echoing_host, heard_by

REGION = "guarded"

HOST = RegisterHost(
    host_id="guarded-standby",
    player_id="guarded-standby",
    player_name="S",
    cpu_cores=8,
    memory_mb=16384,
    network_speed_mbps=1000,
    region=REGION,
)


Event = TypeVar("Event", bound=AgentEvent)


async def answer(channel: PlayerChannel, message: str | bytes) -> None:
    await channel.send(f"standby: {message!s}")


async def test_a_standby_takes_over_with_the_state_over_channels_that_stood_already(
    suite: RunningSuite, api: httpx.AsyncClient
) -> None:
    zone = {**ZONE, "zone_id": REGION, "regions": [REGION], "standby": True}
    assert (await api.post("/api/v1/zones/", json=zone)).status_code == 201
    wish = {"player_id": HOST.host_id, "role": "host", "host_id": HOST.host_id}
    tokens = TokenAnswer.model_validate((await api.post("/api/v1/auth/token", json=wish)).json())
    events: asyncio.Queue[AgentEvent] = asyncio.Queue()
    here, there = suite.gateways
    agent = HostAgent(
        there,
        HOST,
        on_message=answer,
        on_event=events.put_nowait,
        credentials=tokens,
        on_close=OnClose.UNREGISTER,
    )
    async with (
        echoing_host(suite, here, "guarded-first", REGION) as first,
        aiortc_player(here, "gus", await bearer_for(suite, player_id="gus")) as player,
    ):
        (await player.enter(REGION)).send("hello")
        assert await heard_by(player) == "guarded-first: hello"
        session_id = player.joined["session_id"]
        path = f"/api/v1/sessions/{session_id}"
        async with agent:
            channel = await player.connect_ahead()
            stands_by = await next_of(StandbyAssigned, events)
            assert (stands_by.session_id, stands_by.epoch, stands_by.players) == (session_id, 1, ("gus",))
            assert (await api.get(path)).json()["standby"] == {"host_id": HOST.host_id, "host_peer_id": HOST.host_id}
            stored = await api.put(f"{path}/checkpoint?epoch=1&sequence=7", content=b"the world")
            assert stored.is_success
            await eventually(lambda: agent.load(session_id))

            first.kill()
            taken = await next_of(SessionAssigned, events)
            assert (taken.session_id, taken.epoch) == (session_id, 2)
            assert await agent.load(session_id) == b"the world"
            assert (await player.hear("host-migrated"))["host_id"] == HOST.host_id
            channel.send("still here")
            assert await heard_by(player) == "standby: still here"
            await agent.save(session_id, b"its next")

            session = (await api.get(path)).json()
            assert (session["host_id"], session["epoch"], session["standby"]) == (HOST.host_id, 2, None)
            history = (await api.get(f"{path}/events")).json()
            assert [line["event"] for line in history] == ["created", "standby-changed", "migrating", "migrated"]
            assert history[-1]["figures"] == {"standby": 1}


async def next_of(kind: type[Event], events: asyncio.Queue[AgentEvent]) -> Event:
    async with within(20):
        while True:
            event = await events.get()
            if isinstance(event, kind):
                return event
