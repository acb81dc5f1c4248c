"""What a cleanup of many sessions does to those who join meanwhile.

    SCHEDULER_SESSION_CLEANUP_EVERY_S=86400 .venv/bin/p2p up --detach
    .venv/bin/python bench/cleanups.py

Players join and leave sessions that have room, `--rate` a second, over NATS. Ten times `--sessions` idle sessions with
five players each are written into session_manager's database; some seconds later the job session-cleanup is made due.
Joins that are under way while it runs are set beside those of the seconds before: on a busy machine each cleanup so has
a measure of its own minute.
"""

import asyncio
import json
import time
from dataclasses import dataclass, field

import asyncpg
import nats
from contracts.sessions import JOIN_SESSION, LEAVE_SESSION
from nats.aio.client import Client
from running import database_of, read_options, run_job, status

OPEN = 50
CLEANUPS = 10

PLAYED = """
INSERT INTO sessions (session_id, host_id, host_peer_id, zone_id, connected_players, max_players, status,
    last_activity_at, started_at, created_at, updated_at)
SELECT 'session-' || $5 || lpad(to_hex(n), 15, '0'), $5 || n / 20, $5 || n / 20, 'cleaned',
    ARRAY(SELECT $5 || n || '-' || p FROM generate_series(1, $2) p), 1000, 'active', $3, $3, $3, $3
FROM generate_series(1, $1::bigint) n RETURNING $4::text
"""
HOSTS = """
INSERT INTO host_seats AS h (host_id, max_players, taken, revision)
SELECT host_id, 100000, sum(current_players), 1 FROM sessions WHERE zone_id = 'cleaned' GROUP BY host_id
ON CONFLICT (host_id) DO UPDATE SET taken = excluded.taken
"""
SEATS = """
INSERT INTO seats (player_id, session, socket) SELECT player, id, false
FROM sessions, unnest(connected_players) player WHERE zone_id = 'cleaned' ON CONFLICT DO NOTHING
"""


@dataclass
class Joins:
    """When each join began and ended."""

    spans: list[tuple[float, float]] = field(default_factory=list)

    async def go_on(self, client: Client, sessions: list[str], rate: int) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(10**9):
                group.create_task(self._one(client, sessions[number % len(sessions)], f"joining-{number}"))
                await asyncio.sleep(1 / rate)

    def during(self, windows: list[tuple[float, float]]) -> list[float]:
        """How long those took that were under way then."""
        return [end - begin for begin, end in self.spans if any(begin < until and end > at for at, until in windows)]

    async def _one(self, client: Client, session: str, player: str) -> None:
        seat = json.dumps({"session": session, "player_id": player}).encode()
        began = time.perf_counter()
        await client.request(JOIN_SESSION.subject, seat, timeout=30)
        self.spans.append((began, time.perf_counter()))
        await client.request(LEAVE_SESSION.subject, seat, timeout=30)


def tell(name: str, took: list[float]) -> None:
    took.sort()
    median, p99 = (1000 * took[int(len(took) * share)] for share in (0.5, 0.99))
    print(f"| {name} | {len(took)} | {median:.1f} ms | {p99:.1f} ms | {1000 * took[-1]:.1f} ms |", flush=True)


async def seat(database: asyncpg.Connection, count: int, players: int, since: str, mark: str) -> None:
    at = await database.fetchval("SELECT now() - $1::text::interval", since)
    await database.execute(PLAYED, count, players, at, mark, mark)
    await database.execute(HOSTS)
    await database.execute(SEATS)


async def main() -> None:
    chosen = read_options(__doc__, sessions=1000, rate=100, seconds=4)
    suite = status(chosen.data_dir)
    client, database = await nats.connect(suite["nats"]), await asyncpg.connect(database_of("session_manager", suite))
    await database.execute("DELETE FROM sessions WHERE zone_id = 'cleaned'")
    await seat(database, OPEN, 0, "0 s", "a")
    rooms = await database.fetch("SELECT session_id FROM sessions WHERE zone_id = 'cleaned' AND live")
    joins, quiet, cleaning = Joins(), [], []
    going_on = asyncio.create_task(joins.go_on(client, [room["session_id"] for room in rooms], chosen.rate))
    for _ in range(CLEANUPS):
        await seat(database, chosen.sessions, 5, "1 h", "b")
        await asyncio.sleep(1)
        began = time.perf_counter()
        await asyncio.sleep(chosen.seconds)
        due = time.perf_counter()
        done = await run_job(client, "session-cleanup")
        quiet.append((began, due))
        cleaning.append((due, time.perf_counter()))
        assert done.detail == f"ended {chosen.sessions} idle and 0 empty sessions", done
        await database.execute("DELETE FROM sessions WHERE zone_id = 'cleaned' AND NOT live")
    going_on.cancel()
    await asyncio.wait([going_on])
    print("| joins | how many | median | p99 | slowest |")
    print("|---|---|---|---|---|")
    tell("alone", joins.during(quiet))
    tell("during cleanups", joins.during(cleaning))
    took = sorted(until - at for at, until in cleaning)
    print(f"\n{CLEANUPS} cleanups of {chosen.sessions} sessions: median {took[len(took) // 2]:.2f} s, {took[-1]:.2f} s")
    await database.execute("DELETE FROM sessions WHERE zone_id = 'cleaned'")
    await database.close()
    await client.close()


asyncio.run(main())
