"""A game server beside the coordinator: beats for a host that it runs itself, and a log of who plays where.

python game_server.py nats://127.0.0.1:4222
"""

import asyncio
import sys

from contracts.hosts import REGISTER_HOST, Heartbeat, RegisterHost
from sdk import GameServer, P2pError

HOST = RegisterHost(
    host_id="central-1",
    player_id="operator",
    player_name="Central server",
    cpu_cores=32,
    memory_mb=65536,
    network_speed_mbps=10000,
    max_players=1000,
    max_zones=50,
)
BEAT_EVERY_S = 15


async def beat(server: GameServer) -> None:
    while True:
        await server.heartbeat(HOST.host_id, Heartbeat(latency_ms=2, packet_loss_percent=0))
        await asyncio.sleep(BEAT_EVERY_S)


async def log_sessions(server: GameServer) -> None:
    async with server.sessions() as events:
        async for event in events:
            fact = event.fact
            print(event.what, fact.session.zone_id, *fact.players_joined, *fact.players_left, flush=True)


async def main(url: str) -> None:
    async with GameServer(url, name="central-1") as server:
        host = await server.ask(REGISTER_HOST, HOST)
        print(f"registered with score {host.quality_score}", flush=True)
        async with asyncio.TaskGroup() as group:
            group.create_task(beat(server))
            group.create_task(log_sessions(server))


if __name__ == "__main__":
    try:
        asyncio.run(main(sys.argv[1] if sys.argv[1:] else "nats://127.0.0.1:4222"))
    except KeyboardInterrupt:
        print("bye")
    except P2pError as error:
        sys.exit(f"error: {error}")
