"""What the store of spans of `p2p up` takes of a core while players join.

    .venv/bin/p2p up --detach
    .venv/bin/python bench/spans.py

Hosts are registered, and players enter over sockets of their own and go, `--joins` a minute, evenly spread. The share
of a core is the store's processor time by /proc over the time that passed; spans are counted in its database.
"""

import asyncio
import json
import sqlite3
import time
from pathlib import Path

import httpx
import websockets
from running import cpu_seconds, read_options, resident_bytes, status

HOSTS = 20


async def register(gateway: str) -> None:
    async with httpx.AsyncClient(base_url=f"{gateway}/api/v1") as http:
        for number in range(HOSTS):
            host = {"host_id": f"spans-{number}", "player_id": f"owner-{number}", "player_name": "n"}
            machine = {"cpu_cores": 8, "memory_mb": 16384, "network_speed_mbps": 1000}
            (await http.post("/hosts", json=host | machine)).raise_for_status()


async def play(gateway: str, number: int) -> None:
    """Enter, and go at once."""
    url = f"{gateway.replace('http', 'ws', 1)}/api/v1/signaling/ws?peer_id=player-{number}"
    async with websockets.connect(url, compression=None) as socket:
        await socket.send(json.dumps({"type": "enter", "zone_id": "prontera"}))
        while json.loads(await socket.recv())["type"] not in {"session-joined", "error"}:
            pass


def stored(data_dir: str) -> int:
    """How many spans the store has."""
    with sqlite3.connect(f"file:{Path(data_dir, 'traces', 'traces.db')}?mode=ro", uri=True) as store:
        count: int = store.execute("SELECT count(*) FROM spans").fetchone()[0]
    return count


async def main() -> None:
    options = read_options(__doc__, joins=1000, minutes=1.0)
    suite = status(options.data_dir)
    pid = next(server["pid"] for server in suite["servers"] if server["name"] == "traces")
    await register(suite["gateways"][0])
    before, used, began_at = stored(options.data_dir), cpu_seconds(pid), time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number in range(int(options.joins * options.minutes)):
            group.create_task(play(suite["gateways"][0], number))
            await asyncio.sleep(max(0.0, began_at + number * 60 / options.joins - time.monotonic()))
    passed = time.monotonic() - began_at
    await asyncio.sleep(6)  # what services still hold is sent every 5 s
    share = (cpu_seconds(pid) - used) / passed
    print(
        f"{options.joins * options.minutes:.0f} joins in {passed:.0f} s, {stored(options.data_dir) - before} spans kept"
    )
    print(f"the store: {share:.1%} of a core, {resident_bytes(pid) / 2**20:.0f} MiB")


if __name__ == "__main__":
    asyncio.run(main())
