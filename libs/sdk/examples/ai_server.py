"""An AI server: a guard walks his round in Prontera, and listens to what players do to him.

python ai_server.py nats://127.0.0.1:4222
"""

import asyncio
import sys
from itertools import cycle

from contracts.npcs import Environment, NpcState
from sdk import AiServer, P2pError

ZONE = "prontera"
ROUND = ((156, 180), (156, 200), (176, 200), (176, 180))
STEP_S = 2


class Guard:
    """What is published takes the place of all that was said of him before, so he is told whole each time."""

    def __init__(self) -> None:
        self.now = NpcState(npc_id="guard", name="Guard", npc_class="soldier", map=ZONE)

    async def walk(self, server: AiServer) -> None:
        for x, y in cycle(ROUND):
            self.now = self.now.model_copy(update={"x": x, "y": y})
            await server.publish(ZONE, self.now)
            await asyncio.sleep(STEP_S)

    async def listen(self, server: AiServer) -> None:
        async with server.npc_events(ZONE) as events:
            async for event in events:
                print(f"{event.npc_id}: {event.event} {event.data}", flush=True)
                self.now = self.now.model_copy(update={"status": "alert"})
                await server.publish(ZONE, self.now.model_copy(update={"urgent": True}))


async def main(url: str) -> None:
    guard = Guard()
    async with AiServer(url, name="town-ai") as server:
        await server.set_environment(ZONE, Environment(weather="rain", time_of_day="dusk"))
        async with asyncio.TaskGroup() as group:
            group.create_task(guard.walk(server))
            group.create_task(guard.listen(server))


if __name__ == "__main__":
    try:
        asyncio.run(main(sys.argv[1] if sys.argv[1:] else "nats://127.0.0.1:4222"))
    except KeyboardInterrupt:
        print("bye")
    except P2pError as error:
        sys.exit(f"error: {error}")
