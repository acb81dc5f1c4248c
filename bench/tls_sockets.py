"""What TLS adds to sockets that are open: memory of each that is idle, and the way of a signal through one gateway.

    .venv/bin/p2p up --replicas signaling_gateway=2 --detach
    .venv/bin/python bench/tls_sockets.py

Memory is what the resident size of a gateway grew by over so many idle sockets: one gateway's in clear text, the
other's over TLS. Then clear text and TLS take turns at the first: pairs of players in rooms of their own send one
another offers, `--rate` a second in all, and taken is the time of each from one socket to the other, and the gateway's
processor time per signal.
"""

import asyncio
import json
import ssl
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import websockets
from embedded.certificates import authority_of
from embedded.secrets import secrets_directory
from running import cpu_seconds, read_options, resident_bytes, status

PAIRS = 50
ROUNDS = 3
AT_ONCE = 50


@asynccontextmanager
async def sockets(url: str, trust: ssl.SSLContext | None, names: list[tuple[str, str]]) -> AsyncIterator[list[Any]]:
    """Peers, each in its room."""
    async with AsyncExitStack() as stack:

        async def one(peer: str, room: str) -> Any:
            where = f"{url}/api/v1/signaling/ws?peer_id={peer}&session_id={room}"
            socket = await stack.enter_async_context(
                websockets.connect(where, ssl=trust, compression=None, ping_interval=None, max_queue=None)
            )
            while json.loads(await socket.recv())["type"] != "session-joined":
                pass
            return socket

        opened: list[Any] = []
        for start in range(0, len(names), AT_ONCE):
            opened += await asyncio.gather(*(one(*name) for name in names[start : start + AT_ONCE]))
        yield opened


async def idle_bytes(gateway: int, url: str, trust: ssl.SSLContext | None, number: int) -> float:
    """Of memory, per socket."""
    names = [(f"idle-{turn}", f"idle-room-{turn // 2}") for turn in range(number)]
    before = resident_bytes(gateway)
    async with sockets(url, trust, names):
        await asyncio.sleep(2)  # what a burst of openings left is collected
        return (resident_bytes(gateway) - before) / number


async def relay(
    gateway: int, url: str, trust: ssl.SSLContext | None, rate: float, seconds: float
) -> tuple[list[float], float]:
    """Milliseconds that each signal took, and microseconds of the gateway's processor per signal."""
    names = [(f"{side}-{pair}", f"pair-{pair}") for pair in range(PAIRS) for side in ("anna", "berta")]
    took: list[float] = []
    async with sockets(url, trust, names) as opened:

        async def talk(here: Any, there: Any, to: str) -> None:
            until = time.perf_counter() + seconds
            while time.perf_counter() < until:
                began_at = time.perf_counter()
                await here.send(json.dumps({"type": "offer", "to": to, "sdp": "v=0" + "x" * 1000}))
                while json.loads(await there.recv())["type"] != "offer":
                    pass
                took.append((time.perf_counter() - began_at) * 1000)
                await asyncio.sleep(max(0.0, began_at + PAIRS / rate - time.perf_counter()))

        before = cpu_seconds(gateway)
        await asyncio.gather(*(talk(opened[2 * p], opened[2 * p + 1], f"berta-{p}") for p in range(PAIRS)))
        used = cpu_seconds(gateway) - before
    return took, used / len(took) * 1e6


async def main() -> None:
    options = read_options(__doc__, sockets=1000, rate=500.0, seconds=10.0)
    suite = status(options.data_dir)
    pids = {process["instance"]: process["pid"] for process in suite["processes"]}
    gateways = [pids["signaling_gateway-1"], pids["signaling_gateway-2"]]
    clear, other = (url.replace("http", "ws", 1) for url in suite["gateways"])
    trust = ssl.create_default_context(cafile=authority_of(secrets_directory(Path(options.data_dir))))
    ways = {"clear text": (clear, None), "TLS": (clear.replace("ws", "wss", 1), trust)}
    print(f"idle sockets, {options.sockets} at a time:")
    idle = {"clear text": (clear, None), "TLS": (other.replace("ws", "wss", 1), trust)}
    for gateway, (name, way) in zip(gateways, idle.items(), strict=True):
        print(f"  {name}: {await idle_bytes(gateway, *way, options.sockets) / 1000:.1f} KB each")
    for turn in range(ROUNDS):
        for name, way in ways.items():
            took, used = await relay(gateways[0], *way, options.rate, options.seconds)
            p99 = statistics.quantiles(took, n=100)[98]
            told = f"{len(took)} signals, median {statistics.median(took):.2f} ms, p99 {p99:.2f} ms"
            print(f"round {turn + 1}, {name}: {told}, {used:.0f} us of the gateway each")


if __name__ == "__main__":
    asyncio.run(main())
