"""What a round of probes over many hosts takes, and what it costs the prober.

    PROBER_ADDRESSES=127.0.0.1 HOST_REGISTRY_PROBE_EVERY_S=60 .venv/bin/p2p up --detach
    .venv/bin/python bench/probes.py --hosts 100

The hosts are the SDK's agents, all in one process of their own, with WebRTC on loopback. For each round the prober is
stopped (SIGSTOP) until every host is due, which is `--every` so many seconds, and let go; the round ends with the
report of the last host, as NATS carries it. The first round has the newcomers' uploads, the others have none. Cores
and memory are the prober's, by /proc; the gateway's, host_registry's and the hosts' are given beside them.
"""

import argparse
import asyncio
import multiprocessing
import os
import signal
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aioice.ice
import nats
from contracts.hosts import RegisterHost
from contracts.probes import REPORT_PROBE, ReportProbe
from running import cpu_seconds, read_options, status
from sdk import HostAgent, OnClose

PAGE = os.sysconf("SC_PAGE_SIZE")
SEEN_ALSO = ("signaling_gateway-1", "host_registry-1")


def rss_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE / 1e6


async def ignore(*_: object) -> None: ...


async def host(gateways: list[str], count: int, ready: Any, done: Any) -> None:
    aioice.ice.get_host_addresses = lambda **_: ["127.0.0.1"]
    async with AsyncExitStack() as stack:
        for number in range(count):
            known = RegisterHost(host_id=f"probed-{number}", player_id="p", player_name="n", region="probed")
            gateway = gateways[number % len(gateways)]
            agent = HostAgent(gateway, known, on_message=ignore, on_close=OnClose.UNREGISTER)
            await stack.enter_async_context(agent)
        ready.set()
        await asyncio.to_thread(done.wait)


def hosts(gateways: list[str], count: int, ready: Any, done: Any) -> None:
    asyncio.run(host(gateways, count, ready, done))


class Reports:
    """What probers tell, heard beside the registry."""

    def __init__(self, count: int) -> None:
        self._count = count
        self.of: dict[str, ReportProbe] = {}
        self.all_told = asyncio.Event()

    async def hear(self, msg: Any) -> None:
        report = ReportProbe.model_validate_json(msg.data)
        if report.host_id.startswith("probed-"):
            self.of[report.host_id] = report
            if len(self.of) == self._count:
                self.all_told.set()

    def begin(self) -> None:
        self.of.clear()
        self.all_told.clear()


def median(figures: list[float]) -> str:
    return f"{sorted(figures)[len(figures) // 2]:.1f}" if figures else "none"


async def round_of(reports: Reports, prober: int, others: dict[str, int], count: int) -> None:
    reports.begin()
    cpu, before = cpu_seconds(prober), {name: cpu_seconds(pid) for name, pid in others.items()}
    began = time.perf_counter()
    os.kill(prober, signal.SIGCONT)
    async with asyncio.timeout(300):
        await reports.all_told.wait()
    took = time.perf_counter() - began
    cost = 1000 * (cpu_seconds(prober) - cpu) / count
    os.kill(prober, signal.SIGSTOP)
    told = list(reports.of.values())
    uploads = [report.upload_mbps for report in told if report.upload_mbps is not None]
    print(
        f"  {took:5.1f} s, {cost:5.1f} ms of processor time a probe, {rss_mb(prober):.0f} MB; "
        f"{sum(report.reached for report in told)} of {count} reached, "
        f"round trip {median([r.round_trip_ms for r in told if r.round_trip_ms is not None])} ms, "
        f"{len(uploads)} uploads, {median(uploads)} Mbit/s"
    )
    spent = {name: 1000 * (cpu_seconds(pid) - before[name]) / count for name, pid in others.items()}
    print("          beside it, ms a probe: " + ", ".join(f"{name} {cost:.1f}" for name, cost in spent.items()))


async def main(chosen: argparse.Namespace, suite: dict[str, Any]) -> None:
    pids = {process["instance"]: process["pid"] for process in suite["processes"]}
    prober = pids["prober-1"]
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    client = await nats.connect(suite["nats"])
    reports = Reports(chosen.hosts)
    await client.subscribe(REPORT_PROBE.subject, cb=reports.hear)
    os.kill(prober, signal.SIGSTOP)
    process = context.Process(target=hosts, args=(suite["gateways"], chosen.hosts, ready, done))
    process.start()
    others = {name: pids[name] for name in SEEN_ALSO} | {"hosts": process.pid or 0}
    try:
        await asyncio.to_thread(ready.wait)
        print(f"{chosen.hosts} hosts, prober at {rss_mb(prober):.0f} MB")
        for number in range(chosen.rounds):
            await asyncio.sleep(chosen.every + 1 if number else 0)
            await round_of(reports, prober, others, chosen.hosts)
    finally:
        os.kill(prober, signal.SIGCONT)
        done.set()
        await asyncio.to_thread(process.join)
        await client.close()


if __name__ == "__main__":
    OPTIONS = read_options(__doc__, hosts=100, rounds=4, every=60.0)
    asyncio.run(main(OPTIONS, status(OPTIONS.data_dir)))
