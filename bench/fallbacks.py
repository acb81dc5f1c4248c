"""How soon a player's socket says `session-fallback` after it was decided that the session's host is lost.

    .venv/bin/p2p up --replicas signaling_gateway=2 --detach
    .venv/bin/python bench/fallbacks.py

One after the other, hosts with a session and a player on the last gateway are deleted at the first. The time runs from
the decision, as the fact dates it, to the frame; one clock, all on this machine.
"""

import asyncio
import json
import time
from datetime import datetime

import httpx
import nats
import websockets
from contracts.sessions import SESSION_FELL_BACK, SessionFact
from nats.aio.client import Client
from running import read_options, status

HOST = {"player_id": "p", "player_name": "n", "network_speed_mbps": 1000, "cpu_cores": 8, "memory_mb": 16384}


async def frame(socket: websockets.ClientConnection, kind: str) -> datetime:
    """When a frame of this kind came."""
    async for text in socket:
        if json.loads(text)["type"] == kind:
            return datetime.fromtimestamp(time.time()).astimezone()
    raise SystemExit(f"the socket ended before {kind} came")


async def one(api: httpx.AsyncClient, client: Client, gateway: str, host_id: str) -> float:
    """The milliseconds from the decision to the frame."""
    (await api.post("/hosts/register", json={**HOST, "host_id": host_id})).raise_for_status()
    session = (await api.post("/sessions/", json={"host_id": host_id, "zone_id": "prontera"})).raise_for_status().json()
    facts = await client.subscribe(SESSION_FELL_BACK.of(session_id=session["session_id"]))
    await client.flush()
    url = f"{gateway.replace('http', 'ws', 1)}/api/v1/signaling/ws?peer_id=of-{host_id}"
    async with websockets.connect(f"{url}&session_id={session['session_id']}", compression=None) as socket:
        await frame(socket, "session-joined")
        told = asyncio.create_task(frame(socket, "session-fallback"))
        (await api.delete(f"/hosts/{host_id}")).raise_for_status()
        at = await told
    decided = SessionFact.model_validate_json((await facts.next_msg(timeout=10)).data).occurred_at
    await facts.unsubscribe()
    (await api.post(f"/sessions/{session['session_id']}/end")).raise_for_status()
    return (at - decided).total_seconds() * 1000


async def main() -> None:
    chosen = read_options(__doc__, count=200)
    suite = status(chosen.data_dir)
    gateways = suite["gateways"]
    client = await nats.connect(suite["nats"])
    async with httpx.AsyncClient(base_url=f"{gateways[0]}/api/v1", timeout=30) as api:
        took = sorted([await one(api, client, gateways[-1], f"leaving-{number}") for number in range(chosen.count)])
    await client.close()
    median, p99 = took[len(took) // 2], took[int(len(took) * 0.99)]
    print(
        f"decision to frame, {len(took)} of them: median {median:.1f} ms, p99 {p99:.1f} ms, slowest {took[-1]:.1f} ms"
    )


asyncio.run(main())
