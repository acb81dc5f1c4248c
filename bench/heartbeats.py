"""How many heartbeats a second one host_registry takes over NATS, whether any is lost, and what they cost PostgreSQL.

    .venv/bin/p2p up --detach
    .venv/bin/python bench/heartbeats.py --rates 1000,25000,50000

Each beat carries its own number, so a host's last one tells whether the end of the stream arrived; the registry's own
counter tells whether all did. PostgreSQL's commits a second are read from its statistics. All runs on this machine.
"""

import asyncio
import json
import time
from dataclasses import dataclass

import asyncpg
import httpx
import nats
from contracts.hosts import GET_HOST, HEARTBEAT, REGISTER_HOST
from nats.aio.client import Client
from running import cpu_seconds, read_options, status


@dataclass(frozen=True)
class Target:
    nats: str
    postgres: str
    registry: str
    pid: int


def find(data_dir: str) -> Target:
    suite = status(data_dir)
    registries = [process for process in suite["processes"] if process["service"] == "host_registry"]
    if len(registries) != 1:
        raise SystemExit(f"this measures one host_registry; {len(registries)} are running")
    return Target(suite["nats"], suite["postgres"], registries[0]["http"], registries[0]["pid"])


async def commits(database: asyncpg.Connection) -> int:
    await database.execute("SELECT pg_stat_force_next_flush()")
    return await database.fetchval("SELECT xact_commit FROM pg_stat_database WHERE datname = 'host_registry'")


async def counted(registry: httpx.AsyncClient) -> float:
    lines = (await registry.get("/metrics")).text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("p2p_beats_heard_total"))


async def register(client: Client, hosts: list[str]) -> None:
    gate = asyncio.Semaphore(32)

    async def one(host: str) -> None:
        body = {"host_id": host, "player_id": host, "player_name": "n", "network_speed_mbps": 1000, "cpu_cores": 8}
        async with gate:
            await client.request(REGISTER_HOST.subject, json.dumps(body).encode(), timeout=30)

    await asyncio.gather(*map(one, hosts))


async def beat(client: Client, subjects: list[str], rate: int, seconds: int) -> int:
    """Publish at `rate`, in bursts of a hundredth of a second; return how many went out."""
    began = time.perf_counter()
    sent = 0
    while sent < rate * seconds:
        due = min(rate * seconds, int((time.perf_counter() - began) * rate))
        for number in range(sent, due):
            await client.publish(
                subjects[number % len(subjects)],
                b'{"latency_ms":12.5,"packet_loss_percent":0.1,"current_players":7,"bandwidth_usage_mbps":%d}' % number,
            )
        sent = max(sent, due)
        await asyncio.sleep(0.01)
    await client.flush()
    return sent


async def last_number(client: Client, host: str) -> float | None:
    reply = await client.request(GET_HOST.subject, json.dumps({"host_id": host}).encode(), timeout=10)
    return json.loads(reply.data)["bandwidth_usage_mbps"]


async def main() -> None:
    chosen = read_options(__doc__, hosts=1000, rates="1000,10000,25000,50000", seconds=10)
    target = find(chosen.data_dir)
    hosts = [f"beating-{number}" for number in range(chosen.hosts)]
    subjects = [HEARTBEAT.of(host_id=host) for host in hosts]
    client = await nats.connect(target.nats)
    database = await asyncpg.connect(target.postgres)
    async with httpx.AsyncClient(base_url=target.registry) as registry:
        await register(client, hosts)
        print("| beats/s offered | sent | counted | last of each host arrived | commits/s | registry cores |")
        print("|---|---|---|---|---|---|")
        for rate in map(int, chosen.rates.split(",")):
            before, written, cpu, began = (
                await counted(registry),
                await commits(database),
                cpu_seconds(target.pid),
                time.perf_counter(),
            )
            sent = await beat(client, subjects, rate, chosen.seconds)
            took = time.perf_counter() - began
            cores = (cpu_seconds(target.pid) - cpu) / took
            await asyncio.sleep(2)  # two ticks: the last beats are in the table
            got = await counted(registry) - before
            per_second = (await commits(database) - written) / (took + 2)
            sample = range(0, len(hosts), max(1, len(hosts) // 50))
            expected = {host: max(range(host, sent, len(hosts))) for host in sample}
            arrived = [await last_number(client, hosts[host]) == number for host, number in expected.items()]
            print(
                f"| {sent / took:,.0f} | {sent:,} | {got:,.0f} | {sum(arrived)} of {len(arrived)} "
                f"| {per_second:.1f} | {cores:.2f} |",
                flush=True,
            )
    await database.close()
    await client.close()


asyncio.run(main())
