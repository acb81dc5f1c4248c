"""What a round of session-health costs with many sessions, and how that grows.

    .venv/bin/p2p up --detach
    .venv/bin/python bench/looks.py --sizes 1000,10000,50000

The sessions are written into session_manager's database, ten players each, all of whom reported just now that they are
well, but for one session in a hundred, all of whose players are slow. Then the job is made due, five times. Processor
time is that of session_manager and of PostgreSQL with all its processes, by /proc. Sessions are removed afterwards.
"""

import asyncio
import statistics
from pathlib import Path

import asyncpg
import nats
from running import cpu_seconds, database_of, read_options, run_job, status

PLAYERS = 10
ROUNDS = 5

SESSIONS = """
INSERT INTO sessions (session_id, host_id, host_peer_id, zone_id, connected_players, max_players, status,
    last_activity_at, started_at, created_at, updated_at)
SELECT 'session-' || lpad(to_hex(n), 16, '0'), 'look-' || n / 10, 'look-' || n / 10, 'looked-at',
    ARRAY(SELECT 'look-' || n || '-' || p FROM generate_series(1, $2) p), 50, 'active', now(), now(), now(), now()
FROM generate_series(1, $1::bigint) n
"""
SEATS = """
INSERT INTO seats (player_id, session, socket, connected, connection_told_at, said_latency_ms, latency_said_at)
SELECT player, id, false, true, now(), CASE WHEN id % 100 = 0 THEN 300 ELSE 20 END, now()
FROM sessions, unnest(connected_players) player WHERE zone_id = 'looked-at'
"""
REMOVE = (
    "DELETE FROM seats WHERE session IN (SELECT id FROM sessions WHERE zone_id = 'looked-at')",
    "DELETE FROM unwell_sessions",
    "DELETE FROM sessions WHERE zone_id = 'looked-at'",
    "DELETE FROM host_seats WHERE host_id LIKE 'look-%'",
)
HOSTS = """
INSERT INTO host_seats (host_id, max_players, taken, revision)
SELECT host_id, 1000, sum(current_players), 1 FROM sessions WHERE zone_id = 'looked-at' GROUP BY host_id
"""


def family(pid: int) -> list[int]:
    """A process and its children."""
    return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]


def used(pids: list[int]) -> float:
    return sum(cpu_seconds(pid) for pid in pids)


async def main() -> None:
    chosen = read_options(__doc__, sizes="1000,10000,50000")
    suite = status(chosen.data_dir)
    manager = [process["pid"] for process in suite["processes"] if process["service"] == "session_manager"]
    client, database = await nats.connect(suite["nats"]), await asyncpg.connect(database_of("session_manager", suite))
    postmaster = await database.fetchval("SELECT pg_read_file('postmaster.pid')")
    print("| sessions, ten players each | a round | processor: session_manager | PostgreSQL | found unwell |")
    print("|---|---|---|---|---|")
    for size in map(int, chosen.sizes.split(",")):
        for statement in REMOVE:
            await database.execute(statement)
        await database.execute(SESSIONS, size, PLAYERS)
        await database.execute(HOSTS)
        await database.execute(SEATS)
        await database.execute("VACUUM ANALYZE sessions, seats")
        took, cpu = [], []
        for _ in range(ROUNDS):
            stores = family(int(postmaster.split()[0]))
            before = used(manager), used(stores)
            took.append((await run_job(client, "session-health")).duration_ms)
            cpu.append((1000 * (used(manager) - before[0]), 1000 * (used(stores) - before[1])))
        unwell = await database.fetchval("SELECT count(*) FROM unwell_sessions")
        ours, theirs = (statistics.median(times) for times in zip(*cpu, strict=True))
        print(
            f"| {size:,} | {statistics.median(took):.0f} ms | {ours:.0f} ms | {theirs:.0f} ms | {unwell} |", flush=True
        )
    for statement in REMOVE:
        await database.execute(statement)
    await database.close()
    await client.close()


asyncio.run(main())
