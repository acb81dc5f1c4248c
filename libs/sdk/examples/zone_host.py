"""A host that runs a tiny world: players move, everybody hears of it ten times a second.

python zone_host.py http://127.0.0.1:8001
"""

import asyncio
import json
import sys
from collections import defaultdict

from contracts.hosts import Heartbeat, RegisterHost
from sdk import AgentEvent, HostAgent, P2pError, PlayerChannel, PlayerGone

HOST = RegisterHost(
    host_id="zone-host",
    player_id="ann",
    player_name="Ann",
    cpu_cores=8,
    memory_mb=16384,
    network_speed_mbps=1000,
    max_players=20,
)
TICK_S = 0.1


class World:
    """Where everybody is, by session: what a real game has instead is up to it."""

    def __init__(self) -> None:
        self.places: defaultdict[str, dict[str, tuple[float, float]]] = defaultdict(dict)

    async def on_message(self, channel: PlayerChannel, message: str | bytes) -> None:
        move = json.loads(message)
        self.places[channel.session_id][channel.player_id] = float(move["x"]), float(move["y"])

    def on_event(self, event: AgentEvent) -> None:
        if isinstance(event, PlayerGone):
            self.places[event.session_id].pop(event.player_id, None)

    def measured(self, beat: Heartbeat) -> Heartbeat:
        """What the connections measured is right; only we know who really plays."""
        return beat.model_copy(update={"current_players": sum(map(len, self.places.values()))})


async def tell_everybody(world: World, agent: HostAgent) -> None:
    while True:
        for session_id, places in [*world.places.items()]:
            await agent.broadcast(json.dumps({"places": places}), session_id)
        await asyncio.sleep(TICK_S)


async def main(url: str) -> None:
    world = World()
    agent = HostAgent(url, HOST, on_message=world.on_message, on_event=world.on_event, measure=world.measured)
    async with agent, asyncio.TaskGroup() as group:
        group.create_task(tell_everybody(world, agent))
        group.create_task(agent.until_stopped())


if __name__ == "__main__":
    try:
        asyncio.run(main(sys.argv[1] if sys.argv[1:] else "http://127.0.0.1:8001"))
    except KeyboardInterrupt:
        print("bye")
    except P2pError as error:
        sys.exit(f"error: {error}")
