"""An AI server on FastStream: whoever is insulted in Prontera becomes alert, at once.

python faststream_guard.py nats://127.0.0.1:4222
"""

import asyncio
import sys
from typing import Annotated

from contracts.npcs import NPC_EVENT, NPC_STATE, NpcEvent, NpcState
from faststream import FastStream, Path
from sdk.errors import P2pError
from sdk.faststream import P2pBroker

ZONE = "prontera"


def guard(url: str) -> P2pBroker:
    broker = P2pBroker(url, name="town-guard")
    say = broker.tells(NPC_STATE)

    @broker.hears(NPC_EVENT, zone_id=ZONE)
    async def turn(event: NpcEvent, npc_id: Annotated[str, Path()]) -> None:
        if event.event == "insulted":
            await say(NpcState(npc_id=npc_id, status="alert", urgent=True), zone_id=ZONE, npc_id=npc_id)

    return broker


async def main(url: str) -> None:
    await FastStream(guard(url)).run()


if __name__ == "__main__":
    try:
        asyncio.run(main(sys.argv[1] if sys.argv[1:] else "nats://127.0.0.1:4222"))
    except P2pError as error:
        sys.exit(f"error: {error}")
