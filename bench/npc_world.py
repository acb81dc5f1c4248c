"""What the NPCs of many zones cost the suite, and how soon an urgent change is at a host's socket.

    .venv/bin/p2p up --detach
    .venv/bin/python bench/npc_world.py --zones 200 --npcs 50

Each zone has a session with one player, on a host whose signaling socket is subscribed to the zone's feed. Every NPC
moves once in each `--interval`, which is what scheduler is set to (`--moving 0.1`: each tenth of them), evenly spread;
twenty times a second a random one changes urgently, and the time until its host's socket has that very change is taken.
Cores are those of each process while that goes on, by /proc. Memory per NPC is what the resident size of a process grew
by while the NPCs were first heard of, over their number: zones, sessions and sockets are there before.
"""

import argparse
import asyncio
import json
import random
import statistics
import time
from typing import Any

import httpx
import nats
import websockets
from contracts.hosts import HEARTBEAT
from contracts.npcs import NPC_STATE
from running import cpu_seconds, read_options, resident_bytes, status

ZONES_PER_HOST = 20
URGENT_PER_S = 20
BEAT_EVERY_S = 10
NAMES = ("Guard", "Merchant", "Kafra", "Smith", "Fisher")


def subject(zone: str, npc: int) -> str:
    return NPC_STATE.of(zone_id=zone, npc_id=f"npc-{npc}")


def state(zone: str, npc: int, **more) -> bytes:
    record = {
        "npc_id": f"npc-{npc}",
        "name": f"{NAMES[npc % len(NAMES)]} {npc}",
        "npc_class": "citizen",
        "level": npc,
        "map": zone,
        "x": round(random.uniform(0, 400), 1),
        "y": round(random.uniform(0, 400), 1),
        "status": "walking",
    }
    return json.dumps({**record, **more}).encode()


class Sockets:
    """The hosts' ends: what they heard."""

    def __init__(self) -> None:
        self.deltas: list[int] = []
        self.fulls: list[int] = []
        self.gaps = 0
        self.took_ms: list[float] = []
        self.waiting: dict[tuple[str, str, float], float] = {}
        self._seq: dict[str, int] = {}

    async def listen(self, socket) -> None:
        async for text in socket:
            frame = json.loads(text)
            if frame["type"] == "npc-state":
                self._hear(frame, len(text))

    def _hear(self, frame, size: int) -> None:
        (self.fulls if frame["full"] else self.deltas).append(size)
        zone = frame["zone_id"]
        self.gaps += not frame["full"] and frame["seq"] != self._seq.get(zone, 0) + 1
        self._seq[zone] = frame["seq"]
        for npc in frame["npcs"]:
            began = self.waiting.pop((zone, npc["npc_id"], npc.get("x")), None)
            if began is not None:
                self.took_ms.append(1000 * (time.perf_counter() - began))


async def play(gateway: str, zones: list[str], sockets: Sockets, tasks: list[asyncio.Task]) -> None:
    """Put a session into each zone, with a subscribed socket at its host."""
    async with httpx.AsyncClient(base_url=gateway, timeout=30) as api:
        for first in range(0, len(zones), ZONES_PER_HOST):
            hosted = zones[first : first + ZONES_PER_HOST]
            host = f"host-of-{hosted[0]}"
            body = {"host_id": host, "player_id": host, "player_name": "n", "network_speed_mbps": 1000, "cpu_cores": 8}
            machine = {"memory_mb": 16384, "max_zones": 1000, "max_players": 1000, "region": host}
            (await api.post("/api/v1/hosts/register", json={**body, **machine})).raise_for_status()
            url = f"{gateway.replace('http', 'ws', 1)}/api/v1/signaling/ws?peer_id={host}"
            socket = await websockets.connect(url, compression=None, max_size=None)
            tasks.append(asyncio.create_task(sockets.listen(socket)))
            for zone in hosted:
                named = {"zone_id": zone, "zone_name": zone, "zone_display_name": zone, "map_name": zone}
                (await api.post("/api/v1/zones/", json={**named, "regions": [host]})).raise_for_status()
                session = {"zone_id": zone, "host_id": host, "player_ids": [f"player-of-{zone}"]}
                (await api.post("/api/v1/sessions/", json=session)).raise_for_status()
            await asyncio.sleep(0.2)  # the fact of the last session is at the gateway
            for zone in hosted:
                await socket.send(json.dumps({"type": "subscribe", "feed": zone}))


async def beat(client, zones: list[str]) -> None:
    """Keep the hosts online."""
    while True:
        for host in zones[::ZONES_PER_HOST]:
            await client.publish(HEARTBEAT.of(host_id=f"host-of-{host}"), b"{}")
        await asyncio.sleep(BEAT_EVERY_S)


async def move(client, zones: list[str], npcs: int, share: float, interval: float, until: float) -> int:
    """Move `share` of all NPCs once in each interval, evenly spread, and give how many moves that were."""
    every = [(zone, npc) for npc in range(npcs) for zone in zones]
    moving = every[: max(1, int(len(every) * share))]
    began, sent = time.perf_counter(), 0
    while time.perf_counter() < until:
        due = int((time.perf_counter() - began) / interval * len(moving))
        for number in range(sent, due):
            zone, npc = moving[number % len(moving)]
            await client.publish(subject(zone, npc), state(zone, npc))
        sent = max(sent, due)
        await asyncio.sleep(0.01)
    return sent


async def startle(client, zones: list[str], npcs: int, sockets: Sockets, until: float) -> int:
    sent = 0
    while time.perf_counter() < until:
        zone, npc, x = random.choice(zones), random.randrange(npcs), round(1000 + sent + random.random(), 4)
        sockets.waiting[(zone, f"npc-{npc}", x)] = time.perf_counter()
        await client.publish(subject(zone, npc), state(zone, npc, x=x, urgent=True))
        await client.flush()
        sent += 1
        await asyncio.sleep(random.expovariate(URGENT_PER_S))
    return sent


async def main(chosen: argparse.Namespace, suite: dict[str, Any]) -> None:
    pids = {process["instance"]: process["pid"] for process in suite["processes"]} | {
        server["name"]: server["pid"] for server in suite["servers"]
    }
    zones = [f"world-{number}" for number in range(chosen.zones)]
    sockets, tasks = Sockets(), []
    client = await nats.connect(suite["nats"])
    tasks.append(asyncio.create_task(beat(client, zones)))
    await play(suite["gateways"][0], zones, sockets, tasks)
    await asyncio.sleep(chosen.interval)
    empty = {name: resident_bytes(pid) for name, pid in pids.items()}
    for zone in zones:
        for npc in range(chosen.npcs):
            await client.publish(subject(zone, npc), state(zone, npc))
        await client.flush()
    await asyncio.sleep(2 * chosen.interval)
    grown = {name: resident_bytes(pid) - empty[name] for name, pid in pids.items()}

    before = {name: cpu_seconds(pid) for name, pid in pids.items()}
    sockets.deltas.clear(), sockets.fulls.clear(), sockets.took_ms.clear()
    began = time.perf_counter()
    until = began + chosen.seconds
    moved, startled = await asyncio.gather(
        move(client, zones, chosen.npcs, chosen.moving, chosen.interval, until),
        startle(client, zones, chosen.npcs, sockets, until),
    )
    took = time.perf_counter() - began
    cores = {name: (cpu_seconds(pid) - before[name]) / took for name, pid in pids.items()}
    await asyncio.sleep(1)
    for task in tasks:
        task.cancel()
    await client.close()

    print(f"{chosen.zones} zones, {chosen.npcs} NPCs each, {chosen.moving:.0%} moving every {chosen.interval:g} s")
    print(f"  published       {moved / took:,.0f} moves/s, {startled / took:.0f} urgent changes/s")
    print("  cores           " + ", ".join(f"{name} {share:.3f}" for name, share in sorted(cores.items())))
    for name, sizes in (("delta", sockets.deltas), ("full", sockets.fulls)):
        if sizes:
            print(f"  {name:<15} {len(sizes):,} frames, mean {statistics.fmean(sizes):,.0f} bytes")
    if sockets.deltas and sockets.fulls:
        print(f"  delta / full    {statistics.fmean(sockets.deltas) / statistics.fmean(sockets.fulls):.1%}")
    tracked = chosen.zones * chosen.npcs
    for name in sorted(name for name in pids if name.startswith(("scheduler", "signaling_gateway"))):
        print(f"  memory          {name} {grown[name] / tracked:,.0f} bytes an NPC ({grown[name] / 2**20:.1f} MiB)")
    told = sorted(sockets.took_ms)
    if told:
        p50, p99 = (told[min(len(told) - 1, int(len(told) * share))] for share in (0.5, 0.99))
        print(f"  urgent, ms      p50 {p50:.1f}, p99 {p99:.1f}, of {len(told)} of {startled}")
    print(f"  gaps            {sockets.gaps}")


OPTIONS = read_options(__doc__, zones=200, npcs=50, moving=1.0, interval=5.0, seconds=30.0)
asyncio.run(main(OPTIONS, status(OPTIONS.data_dir)))
