"""Players play on when their host is killed, on another host, in the same session and in their seats."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
from testkit.admission import bearer_for, key_for
from testkit.patience import within
from testkit.suites import RunningSuite

from libs.sdk.tests.aiortc_player import AiortcPlayer, aiortc_player

ZONE = {"zone_name": "Z", "zone_display_name": "Z", "map_name": "z", "min_bandwidth_mbps": 0}

PLAYERS = ("ann", "bob", "cleo")


@asynccontextmanager
async def echoing_host(suite: RunningSuite, gateway: str, host_id: str, region: str) -> AsyncIterator[Any]:
    """A host in a process of its own, which players can reach."""
    environment = {**os.environ, "API_KEY": await key_for(suite)}
    program = (sys.executable, "-m", "tests.journeys.echoing_host", gateway, host_id, region)
    process = await asyncio.create_subprocess_exec(*program, stdout=asyncio.subprocess.PIPE, env=environment)
    try:
        assert process.stdout is not None
        async with within(20):
            assert await process.stdout.readline() == b"ready\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def heard_by(player: AiortcPlayer) -> str:
    async with within(10):
        return str(await player.heard.get())


@asynccontextmanager
async def connected(suite: RunningSuite) -> AsyncIterator[list[AiortcPlayer]]:
    """The players, at both gateways; their sockets answer no ping but while they read."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                aiortc_player(suite.gateways[number % 2], player_id, await bearer_for(suite, player_id=player_id))
            )
            for number, player_id in enumerate(PLAYERS)
        ]


async def test_the_players_of_a_killed_host_play_on_with_another(suite: RunningSuite, api: httpx.AsyncClient) -> None:
    zone = {**ZONE, "zone_id": "wandering", "regions": ["wandering"]}
    assert (await api.post("/api/v1/zones/", json=zone)).status_code == 201
    here, there = suite.gateways
    async with (
        echoing_host(suite, here, "wandering-1", "wandering") as first,
        echoing_host(suite, there, "wandering-2", "wandering") as second,
        connected(suite) as players,
    ):
        hosts = {"wandering-1": first, "wandering-2": second}
        for player in players:
            (await player.enter("wandering")).send("hello")
        doomed = players[0].joined["host_id"]
        session_id = players[0].joined["session_id"]
        assert [await heard_by(player) for player in players] == [f"{doomed}: hello"] * 3
        hosts.pop(doomed).kill()

        channels = await asyncio.gather(*(player.follow() for player in players))

        (left,) = hosts
        for channel in channels:
            channel.send("still here")
        assert [await heard_by(player) for player in players] == [f"{left}: still here"] * 3
        session = (await api.get(f"/api/v1/sessions/{session_id}")).json()
        assert (session["status"], session["host_id"], session["epoch"]) == ("active", left, 2)
        assert session["connected_players"] == list(PLAYERS)
        why = (await api.get(f"/api/v1/sessions/{session_id}/explain")).json()
        grounds = [one["grounds"] for one in why["decisions"] if one["grounds"]]
        assert [one["judgements"][0]["host_id"] for one in grounds] == [doomed, left]
        assert {one["judgements"][0]["chosen"] for one in grounds} == {True}
        assert {judged["host_id"] for judged in grounds[0]["judgements"]} == {doomed, left}
        history = (await api.get(f"/api/v1/sessions/{session_id}/events")).json()
        moved = [(line["event"], line["reason"], line["epoch"]) for line in history if line["event"].startswith("migr")]
        assert moved == [("migrating", "host_lost", 1), ("migrated", "host_lost", 2)]


async def test_a_next_host_that_dies_while_it_takes_over_is_followed_by_another(
    suite: RunningSuite, api: httpx.AsyncClient
) -> None:
    zone = {**ZONE, "zone_id": "unlucky", "regions": ["unlucky"]}
    assert (await api.post("/api/v1/zones/", json=zone)).status_code == 201
    bearer = await bearer_for(suite, player_id="dora")
    async with AsyncExitStack() as stack:
        hosts = {
            host_id: await stack.enter_async_context(
                echoing_host(suite, suite.gateways[number % 2], host_id, "unlucky")
            )
            for number, host_id in enumerate(("unlucky-1", "unlucky-2", "unlucky-3"))
        }
        player = await stack.enter_async_context(aiortc_player(suite.gateways[0], "dora", bearer))
        (await player.enter("unlucky")).send("hello")
        first = player.joined["host_id"]
        assert await heard_by(player) == f"{first}: hello"
        hosts.pop(first).kill()
        second = (await player.hear("host-migrated"))["host_id"]
        hosts.pop(second).kill()

        channel = await player.follow()

        (left,) = hosts
        channel.send("still here")
        assert await heard_by(player) == f"{left}: still here"
        assert (player.joined["host_id"], player.joined["epoch"]) == (left, 3)
