"""How long each process takes to tell Prometheus its metrics, and how much that is, with many hosts registered.

    .venv/bin/p2p up --detach
    .venv/bin/python bench/scrapes.py --hosts 10000

The hosts register over NATS and beat every 15 s for as long as this runs. Every process is asked for `/metrics` once a
round, as Prometheus asks; a round begins when what a gateway remembers of the suite's totals (1 s) is out of date.
Beside the time there is the processor time of the process, all threads, from before the question to after the answer:
the median leaves out what else it did meanwhile. Series are counted before there is a host, and after.
"""

import argparse
import asyncio
import json
import os
import statistics
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import nats
from contracts.hosts import HEARTBEAT, REGISTER_HOST
from prometheus_client.parser import text_string_to_metric_families
from running import read_options, status

AT_ONCE = 64
BEAT_EVERY_S = 15
ROUND_S = 1.2


@dataclass
class Scrapes:
    """Of one process."""

    took_ms: list[float] = field(default_factory=list)
    busy_ms: list[float] = field(default_factory=list)
    size: int = 0
    series: int = 0


async def register(client: Any, count: int) -> None:
    room = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        host = {
            "host_id": f"host-{number:05d}",
            "player_id": f"player-{number}",
            "player_name": f"Player {number}",
            "cpu_cores": 2 + number % 7,
            "memory_mb": 8192,
            "network_speed_mbps": 50 + number % 1000,
        }
        async with room:
            await client.request(REGISTER_HOST.subject, json.dumps(host).encode(), timeout=10)

    await asyncio.gather(*map(one, range(count)))


async def beat(client: Any, count: int) -> None:
    began, number = time.monotonic(), 0
    while True:
        due = int((time.monotonic() - began) * count / BEAT_EVERY_S)
        for told in range(number, due):
            said = {"latency_ms": 10 + told % 90, "packet_loss_percent": 0.1, "current_players": told % 40}
            await client.publish(HEARTBEAT.of(host_id=f"host-{told % count:05d}"), json.dumps(said).encode())
        number = due
        await asyncio.sleep(0.05)


def busy_ns(pid: int) -> int:
    """What all threads of a process have had of a core."""
    return sum(int(task.read_text().split()[0]) for task in Path(f"/proc/{pid}/task").glob("*/schedstat"))


async def scrape(http: httpx.AsyncClient, process: dict[str, Any], found: Scrapes) -> None:
    busy, began = busy_ns(process["pid"]), time.perf_counter()
    answer = await http.get(f"{process['http']}/metrics")
    found.took_ms.append((time.perf_counter() - began) * 1000)
    found.busy_ms.append((busy_ns(process["pid"]) - busy) / 1e6)
    answer.raise_for_status()
    found.size = len(answer.content)
    found.series = sum(len(family.samples) for family in text_string_to_metric_families(answer.text))


async def rounds(processes: list[dict[str, Any]], times: int) -> dict[str, Scrapes]:
    found: dict[str, Scrapes] = defaultdict(Scrapes)
    async with httpx.AsyncClient(timeout=30) as http:
        for _ in range(times):
            for process in processes:
                await scrape(http, process, found[process["instance"]])
            await asyncio.sleep(ROUND_S)
    return found


async def main(chosen: argparse.Namespace, suite: dict[str, Any]) -> None:
    processes = suite["processes"]
    client = await nats.connect(suite["nats"])
    before = await rounds(processes, 2)
    await register(client, chosen.hosts)
    beating = asyncio.create_task(beat(client, chosen.hosts))
    await asyncio.sleep(BEAT_EVERY_S)
    found = await rounds(processes, chosen.times)
    print(f"{chosen.hosts} hosts, {chosen.times} scrapes of each; load {os.getloadavg()[0]:.1f}")
    for instance, seen in found.items():
        print(
            f"  {instance:22s} median {statistics.median(seen.took_ms):5.1f} ms, slowest {max(seen.took_ms):5.1f} ms, "
            f"processor {statistics.median(seen.busy_ms):4.1f} ms; {seen.size / 1000:5.1f} KB, {seen.series} series "
            f"({before[instance].series} without hosts)",
            flush=True,
        )
    beating.cancel()
    await client.close()


if __name__ == "__main__":
    OPTIONS = read_options(__doc__, hosts=10_000, times=20)
    asyncio.run(main(OPTIONS, status(OPTIONS.data_dir)))
