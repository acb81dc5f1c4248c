"""How long players hear nothing when they change hosts: after kill -9 of theirs, or by an operator's order.

    .venv/bin/p2p up --replicas signaling_gateway=2 --detach
    .venv/bin/python bench/losing_hosts.py
    .venv/bin/python bench/losing_hosts.py --silent 1000  # players who say nothing of it
    .venv/bin/python bench/losing_hosts.py --standby 1  # the other host stands by, and is connected to ahead
    .venv/bin/python bench/losing_hosts.py --planned 1 --players 2  # the session is given to the other host instead

In each round two hosts of a zone of their own run as processes, and eight players at two gateways say something every
tenth of a second. A player who hears no echo for `--silent` seconds says so to the coordinator, as pages do.
Measured is the time from the kill to the first word over the next host's channel. In a planned move players speak fifty
times a second, on the channel they have until the next is open, as pages do; measured is the longest time without an
echo, beside the longest of three seconds without a move. Players share one process, so that they connect to the next
host one after the other: in a planned move each hears the others do so. All channels are on this machine.
"""

import argparse
import asyncio
import os
import sys
import time
from contextlib import AsyncExitStack, suppress

import aiohttp
import httpx
from aiortc import RTCConfiguration, RTCDataChannel, RTCPeerConnection, RTCSessionDescription
from contracts.hosts import RegisterHost
from running import read_options, status
from sdk import HostAgent, PlayerChannel

SAYS_EVERY_S = 0.1
SAYS_OFTEN_S = 0.02
ZONE = {"zone_name": "Z", "zone_display_name": "Z", "map_name": "z", "min_bandwidth_mbps": 0}


async def host(url: str, host_id: str, region: str) -> None:
    """Say everything back, until the end."""
    about = RegisterHost(
        host_id=host_id,
        player_id=host_id,
        player_name=host_id,
        cpu_cores=8,
        memory_mb=16384,
        network_speed_mbps=1000,
        region=region,
    )

    async def echo(channel: PlayerChannel, message: str | bytes) -> None:
        await channel.send(message)

    async with HostAgent(url, about, on_message=echo) as agent:
        print("ready", flush=True)
        await agent.until_stopped()


class Player:
    """Stays in its session, whoever hosts it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, silent_s: float, says_every_s: float) -> None:
        self._socket = socket
        self._silent_s = silent_s
        self._says_every_s = says_every_s
        self._peers: list[RTCPeerConnection] = []
        self._carrier: RTCDataChannel | None = None
        self._answer: asyncio.Future[dict[str, str]] | None = None
        self.session: dict[str, object] = {}
        self.joined = asyncio.Event()
        self.ahead: asyncio.Future[tuple[str, RTCDataChannel]] = asyncio.get_running_loop().create_future()
        """The standby, once there is a channel to it."""
        self._heard_at = 0.0
        self._last_echo = 0.0
        self.longest_silence = 0.0
        self._first: dict[str, asyncio.Future[float]] = {}

    def first_word_of(self, host: str) -> asyncio.Future[float]:
        """When it was heard, by the monotonic clock."""
        return self._first.setdefault(host, asyncio.get_running_loop().create_future())

    async def run(self, zone_id: str) -> None:
        await self._socket.send_json({"type": "enter", "zone_id": zone_id})
        async with asyncio.TaskGroup() as group:
            async for message in self._socket:
                frame = message.json()
                if frame["type"] in {"session-joined", "host-migrated"}:
                    self.session |= frame
                    self.joined.set()
                    group.create_task(self._go_to(str(frame["host_peer_id"])))
                elif frame["type"] == "session-standby" and "standby" in frame:
                    group.create_task(self._connect_ahead(frame["standby"]["host_peer_id"]))
                elif frame["type"] == "answer" and self._answer and not self._answer.done():
                    self._answer.set_result(frame["sdp"])

    async def _go_to(self, host: str) -> None:
        if self.ahead.done() and self.ahead.result()[0] == host:
            channel = self.ahead.result()[1]
        else:
            channel = await self._connect(host)
        self._heard_at = 0.0
        self._carrier = channel
        await self._say(host, {"type": "ice-result", "state": "connected", "elapsed_ms": 100})
        await self._speak(channel, host)

    async def _connect_ahead(self, host: str) -> None:
        self.ahead.set_result((host, await self._connect(host)))

    async def _connect(self, host: str) -> RTCDataChannel:
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._peers.append(peer)
        channel = peer.createDataChannel("game")
        opened = asyncio.Event()
        channel.on("open", opened.set)
        channel.on("message", lambda _: self._hears(host))
        await peer.setLocalDescription(await peer.createOffer())
        self._answer = asyncio.get_running_loop().create_future()
        sdp = {"type": "offer", "sdp": peer.localDescription.sdp}
        await self._say(host, {"type": "offer", "sdp": sdp})
        await peer.setRemoteDescription(RTCSessionDescription(**await self._answer))
        await opened.wait()
        return channel

    async def _speak(self, channel: RTCDataChannel, host: str) -> None:
        missed = False
        while self._carrier is channel and channel.readyState == "open":
            channel.send("x")
            await asyncio.sleep(self._says_every_s)
            if not missed and self._heard_at and time.monotonic() - self._heard_at > self._silent_s:
                missed = True
                await self._say(host, {"type": "ice-result", "state": "disconnected", "elapsed_ms": 0})

    def _hears(self, host: str) -> None:
        self._heard_at = time.monotonic()
        if self._last_echo:
            self.longest_silence = max(self.longest_silence, self._heard_at - self._last_echo)
        self._last_echo = self._heard_at
        if not self.first_word_of(host).done():
            self.first_word_of(host).set_result(self._heard_at)

    async def _say(self, host: str, frame: dict[str, object]) -> None:
        await self._socket.send_json({**frame, "to": host, "session_id": self.session["session_id"]})

    async def close(self) -> None:
        await asyncio.gather(*(peer.close() for peer in self._peers))


async def started(gateway: str, host_id: str, region: str) -> asyncio.subprocess.Process:
    program = (sys.executable, __file__, "--host", gateway, host_id, region)
    process = await asyncio.create_subprocess_exec(*program, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    await process.stdout.readline()
    return process


async def killed(players: list[Player], hosts: dict[str, asyncio.subprocess.Process]) -> list[float]:
    """The seconds that each player heard nothing of the next host."""
    await asyncio.sleep(2)  # all go on for a while
    killed_at = time.monotonic()
    hosts.pop(str(players[0].session["host_id"])).kill()
    (left,) = hosts
    return [await player.first_word_of(left) - killed_at for player in players]


async def moved(players: list[Player], hosts: dict[str, asyncio.subprocess.Process], gateway: str) -> list[float]:
    """The longest seconds that each player heard nothing of either host, after those without a move."""
    await asyncio.sleep(2)
    longest_silences(players)
    await asyncio.sleep(3)
    calm = longest_silences(players)
    (other,) = hosts.keys() - {str(players[0].session["host_id"])}
    async with httpx.AsyncClient(base_url=f"{gateway}/api/v1", timeout=30) as api:
        (await api.post(f"/sessions/{players[0].session['session_id']}/migrate")).raise_for_status()
    await asyncio.gather(*(player.first_word_of(other) for player in players))
    await asyncio.sleep(1)
    return [*calm, *longest_silences(players)]


def longest_silences(players: list[Player]) -> list[float]:
    """Since they were asked for last."""
    silences = [player.longest_silence for player in players]
    for player in players:
        player.longest_silence = 0.0
    return silences


async def one(gateways: list[str], number: int, chosen: argparse.Namespace) -> list[float]:
    """What a round measured of each player."""
    planned, standby = bool(chosen.planned), bool(chosen.standby)
    region = f"losing-{os.getpid()}-{number}"
    async with httpx.AsyncClient(base_url=f"{gateways[0]}/api/v1", timeout=30) as api:
        zone = {**ZONE, "zone_id": region, "regions": [region], "standby": standby}
        (await api.post("/zones", json=zone)).raise_for_status()
    hosts = {f"{region}-{which}": await started(gateways[which % 2], f"{region}-{which}", region) for which in (0, 1)}
    async with AsyncExitStack() as stack:
        players, runs = [], []
        for seat in range(chosen.players):
            http = await stack.enter_async_context(aiohttp.ClientSession())
            url = f"{gateways[seat % 2]}/api/v1/signaling/ws?peer_id={region}-player-{seat}"
            socket = await stack.enter_async_context(http.ws_connect(url))
            players.append(Player(socket, chosen.silent, SAYS_OFTEN_S if planned else SAYS_EVERY_S))
            runs.append(asyncio.create_task(players[-1].run(region)))
        await asyncio.gather(*(player.joined.wait() for player in players))
        first = str(players[0].session["host_id"])
        await asyncio.gather(*(player.first_word_of(first) for player in players))
        if standby:
            await asyncio.gather(*(player.ahead for player in players))
        measured = await (moved(players, hosts, gateways[0]) if planned else killed(players, hosts))
        for run in runs:
            run.cancel()
        await asyncio.gather(*runs, return_exceptions=True)
        await asyncio.gather(*(player.close() for player in players))
    for process in hosts.values():
        process.terminate()
        await process.wait()
    return measured


def say(what: str, took: list[float]) -> None:
    took = sorted(took)
    median, p95 = took[len(took) // 2], took[int(len(took) * 0.95)]
    print(f"{what}, {len(took)} players: median {median:.3f} s, p95 {p95:.3f} s, slowest {took[-1]:.3f} s")


async def main() -> None:
    chosen = read_options(__doc__, count=10, players=8, silent=0.5, planned=0, standby=0)
    gateways, players = status(chosen.data_dir)["gateways"], chosen.players
    rounds = [await one(gateways, number, chosen) for number in range(chosen.count)]
    if chosen.planned:
        say("longest silence without a move", [time for measured in rounds for time in measured[:players]])
        say("longest silence in a planned move", [time for measured in rounds for time in measured[players:]])
    else:
        say("kill to data on the next channel", [time for measured in rounds for time in measured])


if sys.argv[1:2] == ["--host"]:
    with suppress(KeyboardInterrupt):
        asyncio.run(host(*sys.argv[2:]))
else:
    asyncio.run(main())
