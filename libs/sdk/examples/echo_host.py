"""A host that says everything back: the shortest useful host agent.

python echo_host.py http://127.0.0.1:8001
"""

import asyncio
import sys

from contracts.hosts import RegisterHost
from sdk import HostAgent, P2pError, PlayerChannel

HOST = RegisterHost(
    host_id="echo-host",
    player_id="echo",
    player_name="Echo",
    cpu_cores=8,
    memory_mb=16384,
    network_speed_mbps=1000,
)


async def echo(channel: PlayerChannel, message: str | bytes) -> None:
    await channel.send(message)


async def main(url: str) -> None:
    async with HostAgent(url, HOST, on_message=echo, on_event=print) as agent:
        await agent.until_stopped()


if __name__ == "__main__":
    try:
        asyncio.run(main(sys.argv[1] if sys.argv[1:] else "http://127.0.0.1:8001"))
    except KeyboardInterrupt:
        print("bye")
    except P2pError as error:
        sys.exit(f"error: {error}")
