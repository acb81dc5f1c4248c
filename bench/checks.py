"""What share of a gateway's work is asking who sends something, whether they may, and how often they did.

    .venv/bin/p2p up --mode enforced --detach
    .venv/bin/python bench/checks.py

A sampling profiler looks at the gateway while hosts beat and players read their sessions, each with its own token and
within its own limit; then while players in pairs relay offers. Counted are the samples that stand inside the checks, of
all that hold the interpreter. Shares hold on a busy machine too.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import websockets
from running import new_key, read_options, status

PROFILER = Path(sys.executable).with_name("py-spy")
LOOKS_PER_S = 500

REQUESTS = (
    "admit (signaling_gateway/http/framework/gate.py",
    "check (signaling_gateway/http/framework/gate.py",
    "limits/clients.py",
)
MESSAGES = ("passes (signaling_gateway/limits/flow.py", "exceeded (signaling_gateway/limits/flow.py")
WRAPPER = "__call__ (signaling_gateway/limits/clients.py"
"""Has all the rest beneath it: a sample counts as a check only when it stands in the wrapper itself."""

HOSTS = PLAYERS = 100
BEATS_PER_S, READS_PER_S = 8, 4
"""Of each host and each player: their limits are ten and five."""
CONNECTS_PER_S = 8
OFFERS_PER_S = 40
OFFER = json.dumps({"type": "offer", "sdp": "v=0 " * 100})


class Api:
    """The gateway, asked with a key or a token."""

    def __init__(self, http: aiohttp.ClientSession, key: str) -> None:
        self._http = http
        self._key = {"X-API-Key": key}

    async def post(self, path: str, body: Any, token: str | None = None) -> Any:
        headers = {"Authorization": f"Bearer {token}"} if token else self._key
        async with self._http.post(f"/api/v1/{path}", json=body, headers=headers) as response:
            response.raise_for_status()
            return await response.json()

    async def get(self, path: str, token: str) -> Any:
        async with self._http.get(f"/api/v1/{path}", headers={"Authorization": f"Bearer {token}"}) as response:
            response.raise_for_status()
            return await response.json()


async def settle(api: Api) -> tuple[list[tuple[str, str]], list[tuple[str, str, str]]]:
    """Give host ids with their tokens, and player ids with theirs and their session."""
    hosts, players = [], []
    for number in range(HOSTS):
        host, player = f"checked-host-{number}", f"checked-player-{number}"
        body = {"host_id": host, "player_id": host, "player_name": "n", "network_speed_mbps": 1000, "cpu_cores": 8}
        await api.post("hosts/register", body | {"memory_mb": 16384, "max_zones": 4, "region": f"r{number // 2}"})
        wish = {"player_id": host, "role": "host", "host_id": host}
        hosts.append((host, (await api.post("auth/token", wish))["token"]))
        players.append((player, (await api.post("auth/token", {"player_id": player}))["token"], ""))
    for number in range(0, PLAYERS, 2):  # two players a session, so that they are each other's peers
        zone = f"checked-{number}"
        named = {"zone_id": zone, "zone_name": zone, "zone_display_name": zone, "map_name": zone}
        await api.post("zones/", named)
        both = [players[number][0], players[number + 1][0]]
        session = await api.post(
            "sessions/", {"zone_id": zone, "host_id": f"checked-host-{number}", "player_ids": both}
        )
        for at in (number, number + 1):
            players[at] = (*players[at][:2], session["session_id"])
    return hosts, players


@asynccontextmanager
async def beside(*works: Any) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome


async def repeat(per_s: float, phase: float, work: Any) -> None:
    loop = asyncio.get_running_loop()
    due = loop.time() + phase / per_s
    while True:
        await asyncio.sleep(max(0, due - loop.time()))
        await work()
        due += 1 / per_s


async def beat(api: Api, host: str, token: str) -> None:
    await api.post(f"hosts/{host}/heartbeat", {}, token)


async def relay(gateway: str, player: str, token: str, session: str, other: str, phase: float) -> None:
    url = f"{gateway.replace('http', 'ws', 1)}/api/v1/signaling/ws?peer_id={player}&session_id={session}&token={token}"
    await asyncio.sleep(phase * PLAYERS / CONNECTS_PER_S)
    async with websockets.connect(url, compression=None) as socket, asyncio.TaskGroup() as group:
        offer = json.dumps(json.loads(OFFER) | {"to": other})
        group.create_task(repeat(OFFERS_PER_S, phase, lambda: socket.send(offer)))
        async for _ in socket:
            pass


async def profile(pid: int, seconds: int) -> Counter[str]:
    """Look at the process, and give how often each stack was seen."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "stacks"
        options = [
            "--pid",
            str(pid),
            "--duration",
            str(seconds),
            "--rate",
            str(LOOKS_PER_S),
            "--format",
            "raw",
            "--gil",
        ]
        process = await asyncio.create_subprocess_exec(
            PROFILER,
            "record",
            "--gil",
            *options,
            "--output",
            str(file),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        if await process.wait():
            sys.exit(f"{PROFILER.name} failed: `pip install py-spy`, and it must be allowed to look at processes")
        seen: Counter[str] = Counter()
        for line in file.read_text().splitlines():
            stack, _, count = line.rpartition(" ")
            seen[stack] += int(count)
        return seen


def share(name: str, seen: Counter[str], checks: tuple[str, ...]) -> None:
    def is_check(stack: str) -> bool:
        frames = stack.split(";")
        within = [frame for frame in frames[:-1] if not frame.startswith(WRAPPER)] + frames[-1:]
        return any(check in frame for frame in within for check in checks)

    inside = sum(count for stack, count in seen.items() if is_check(stack))
    print(f"{name}: {inside} of {seen.total()} samples stand in the checks, {inside / seen.total():.1%}")


async def main(chosen: argparse.Namespace, suite: dict[str, Any], key: str) -> None:
    gateway = suite["gateways"][0]
    pid = next(process["pid"] for process in suite["processes"] if process["instance"] == "signaling_gateway-1")
    async with aiohttp.ClientSession(gateway, connector=aiohttp.TCPConnector(limit=32)) as http:
        api = Api(http, key)
        hosts, players = await settle(api)
        beats = [repeat(BEATS_PER_S, at / HOSTS, partial(beat, api, *host)) for at, host in enumerate(hosts)]
        reads = [
            repeat(READS_PER_S, at / PLAYERS, partial(api.get, f"sessions/{session}", token))
            for at, (_, token, session) in enumerate(players)
        ]
        async with beside(*beats, *reads):
            await asyncio.sleep(2)
            share("requests", await profile(pid, chosen.seconds), REQUESTS)
        relays = [
            relay(gateway, player, token, session, players[at ^ 1][0], at / PLAYERS)
            for at, (player, token, session) in enumerate(players)
        ]
        async with beside(*relays):
            await asyncio.sleep(2 + PLAYERS / CONNECTS_PER_S)
            share("relayed messages", await profile(pid, chosen.seconds), MESSAGES)


OPTIONS = read_options(__doc__, seconds=20)
asyncio.run(main(OPTIONS, status(OPTIONS.data_dir), new_key("server", OPTIONS.data_dir)))
