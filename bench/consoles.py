"""What open consoles cost a gateway, and how soon the page is there, with many hosts registered.

    .venv/bin/p2p up --detach
    .venv/bin/python bench/consoles.py --hosts 10000

The hosts register over NATS and beat every 15 s for as long as this runs. A console is a connection that reads the
page's stream, its first list as the page asks for it; some facts are told meanwhile, by players who enter and leave.
The gateway's share of a core is its processor time by /proc over the time that passed. The page is opened in headless
Chromium: its own figure for first contentful paint, and when the first row of the list stood there.
"""

import argparse
import asyncio
import json
import os
import shutil
import time
from collections import Counter
from contextlib import AsyncExitStack
from typing import Any

import httpx
import nats
from contracts.hosts import HEARTBEAT, REGISTER_HOST
from playwright.async_api import async_playwright
from running import cpu_seconds, read_options, status

AT_ONCE = 64
BEAT_EVERY_S = 15
REGIONS = ("eu-west", "us-east", "ap-south", "eu-north")
STREAM = "/api/v1/console?view=hosts&limit=50"

FIRST_ROW = """() => new Promise((resolve) => {
  const there = () => document.querySelector("#table tbody tr");
  const told = () => resolve(performance.now());
  if (there()) told();
  else new MutationObserver((_, seen) => there() && (seen.disconnect(), told())).observe(document.body,
    { childList: true, subtree: true });
})"""


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
            "region": REGIONS[number % len(REGIONS)],
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


async def play(gateway: str) -> None:
    """Two facts a second."""
    async with httpx.AsyncClient(base_url=gateway, timeout=10) as api:
        while True:
            await api.post("/api/v1/sessions/join", json={"zone_id": "prontera", "peer_id": "wanderer"})
            await asyncio.sleep(0.5)
            await api.post("/api/v1/sessions/leave", json={"peer_id": "wanderer"})
            await asyncio.sleep(0.5)


async def read(gateway: str, heard: Counter[str]) -> None:
    client = httpx.AsyncClient(base_url=gateway, timeout=30)
    async with client, client.stream("GET", STREAM, headers={"Accept": "text/event-stream"}) as answer:
        async for part in answer.aiter_bytes():
            heard["bytes"] += len(part)


async def cost(gateway: str, pid: int, consoles: int, seconds: float) -> None:
    heard: Counter[str] = Counter()
    readers = [asyncio.create_task(read(gateway, heard)) for _ in range(consoles)]
    await asyncio.sleep(3)
    heard.clear()
    began, before = time.perf_counter(), cpu_seconds(pid)
    await asyncio.sleep(seconds)
    took = time.perf_counter() - began
    share = 100 * (cpu_seconds(pid) - before) / took
    ended = sum(reader.done() for reader in readers)
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    each = f", {heard['bytes'] / took / consoles / 1000:.1f} KB/s to each, {ended} ended" if consoles else ""
    print(f"  {consoles:3d} consoles: {share:4.1f} % of a core{each}", flush=True)


async def paint(gateway: str, times: int) -> None:
    paints, rows = [], []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        for _ in range(times):
            page = await (await browser.new_context(viewport={"width": 1280, "height": 900})).new_page()
            await page.goto(gateway, wait_until="commit")
            row = await page.evaluate(FIRST_ROW)
            await page.wait_for_function("performance.getEntriesByName('first-contentful-paint').length")
            painted = await page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
            paints.append(painted)
            rows.append(row)
            await page.context.close()
        await browser.close()
    for what, figures in (("first contentful paint", paints), ("first row of the list", rows)):
        figures.sort()
        print(f"  {what}: median {figures[len(figures) // 2]:.0f} ms, slowest {figures[-1]:.0f} ms", flush=True)


async def main(chosen: argparse.Namespace, suite: dict[str, Any]) -> None:
    gateway = suite["gateways"][0]
    pid = next(process["pid"] for process in suite["processes"] if process["instance"] == "signaling_gateway-1")
    client = await nats.connect(suite["nats"])
    began = time.perf_counter()
    await register(client, chosen.hosts)
    print(f"{chosen.hosts} hosts registered in {time.perf_counter() - began:.1f} s; load {os.getloadavg()[0]:.1f}")
    async with AsyncExitStack() as stack:
        for work in (beat(client, chosen.hosts), play(gateway)):
            stack.callback(asyncio.create_task(work).cancel)
        await asyncio.sleep(BEAT_EVERY_S)
        await paint(gateway, chosen.times)
        for consoles in (0, 1, chosen.consoles):
            await cost(gateway, pid, consoles, chosen.seconds)
    await client.close()


if __name__ == "__main__":
    OPTIONS = read_options(__doc__, hosts=10_000, consoles=50, seconds=30.0, times=9)
    asyncio.run(main(OPTIONS, status(OPTIONS.data_dir)))
