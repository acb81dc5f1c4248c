"""A host that says every message back with its name before it: `python -m tests.journeys.echoing_host URL ID REGION`.

With a server's key where the environment has one; it prints a line when players can reach it.
"""

import asyncio
import os
import sys

from contracts.hosts import RegisterHost
from sdk import HostAgent, PlayerChannel, ServerKey


async def main(url: str, host_id: str, region: str) -> None:
    host = RegisterHost(
        host_id=host_id,
        player_id=host_id,
        player_name=host_id,
        cpu_cores=8,
        memory_mb=16384,
        network_speed_mbps=1000,
        region=region,
    )

    async def echo(channel: PlayerChannel, message: str | bytes) -> None:
        await channel.send(f"{host_id}: {message!s}")

    key = os.environ.get("API_KEY")
    async with HostAgent(url, host, on_message=echo, credentials=ServerKey(key) if key else None) as agent:
        print("ready", flush=True)
        await agent.until_stopped()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
