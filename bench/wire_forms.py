"""What a join costs that answers and tells in SQL (`session_json`), and what it would cost to make the JSON in Python.

    .venv/bin/python bench/wire_forms.py

On a PostgreSQL of its own, no suite is needed. Each way in turn joins 1,000 players, 16 in flight, one to each session
of ten; the answer is encoded as it is sent. Processor time is that of this process and of PostgreSQL with all its
processes, by /proc.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import uvloop
from chassis import tracing
from chassis.database import Database, Transaction, open_database
from chassis.ids import new_event_id
from chassis.outbox import OUTBOX_COLUMNS, outbox_row
from contracts.identifiers import PeerId
from contracts.sessions import SESSION_JOINED, Session, SessionFact, SessionOutcome
from embedded.ports import free_port
from embedded.postgres import Postgres
from running import cpu_seconds
from session_manager.handlers import _outcome
from session_manager.sessions import JOINABLE, Ref
from session_manager.store.seats import _TAKE, SeatStore

SESSIONS = 1000
PLAYERS = 10
IN_FLIGHT = 16
ROUNDS = 9

EMPTY = "TRUNCATE sessions, seats, host_seats, session_events, outbox RESTART IDENTITY"
MAKE = f"""
WITH host AS (
    INSERT INTO host_seats (host_id, max_players, taken, revision)
    SELECT 'host-' || h, 1000, {10 * PLAYERS}, 1 FROM generate_series(1, {SESSIONS // 10}) h
)
INSERT INTO sessions (session_id, host_id, host_peer_id, zone_id, connected_players, max_players, status,
    last_activity_at, started_at, created_at, updated_at)
SELECT 'session-' || lpad(to_hex(n), 16, '0'), 'host-' || 1 + n % {SESSIONS // 10}, 'host-' || 1 + n % {SESSIONS // 10},
    'prontera', ARRAY(SELECT 'player-' || n || '-' || p FROM generate_series(1, {PLAYERS}) p), 50, 'active',
    now(), now(), now(), now()
FROM generate_series(1, {SESSIONS}) n
"""

COLUMNS = ", ".join(Session.model_fields)
CHANGED = "s.id, s.session_id, s.host_id, s.revision, s.epoch, s.status, old.status AS was, session_json(s) AS json"
assert CHANGED in _TAKE
assert _TAKE.endswith("SELECT json FROM session")

ROW_AND_FACT = _TAKE.replace(CHANGED, "s.*, old.status AS was, session_json(s) AS json").replace(
    "SELECT json FROM session", f"SELECT {COLUMNS} FROM session"
)
ROW = (
    _TAKE.partition(", fact AS (")[0].replace(CHANGED, "s.*")
    + "SELECT session.*, $2::text AS traceparent, host.taken, host.revision AS host_revision FROM session, host"
)
TOLD = f"""
WITH event AS (
    INSERT INTO session_events
        (session, revision, event, occurred_at, epoch, status, players_joined, players_left, trace_id)
    VALUES ($5, $6, 'joined', $7, $8, $9, $10, '{{}}', NULL)
)
INSERT INTO {OUTBOX_COLUMNS} VALUES ($1, $2, $3::jsonb, $4)
"""

Join = Callable[[int, PeerId], Awaitable[bytes]]


def arguments(number: int, player_id: PeerId, now: datetime) -> tuple[object, ...]:
    return (now, tracing.current_traceparent(), number, None, sorted(JOINABLE), player_id, True)


def ways(database: Database) -> dict[str, Join]:
    store = SeatStore(database)

    async def in_sql(number: int, player_id: PeerId) -> bytes:
        session = await store.take(Ref(number, None), player_id, socket=True, now=datetime.now(UTC))
        assert session is not None
        return _outcome(session, "The player has joined.")

    async def answer_in_python(number: int, player_id: PeerId) -> bytes:
        row = await database.fetchrow("take", ROW_AND_FACT, *arguments(number, player_id, datetime.now(UTC)))
        assert row is not None
        return outcome_of(dict(row))

    async def all_in_python(number: int, player_id: PeerId) -> bytes:
        now = datetime.now(UTC)

        async def work(transaction: Transaction) -> bytes:
            row = await transaction.fetchrow("take", ROW, *arguments(number, player_id, now))
            assert row is not None
            fields = {name: row[name] for name in Session.model_fields}
            fact = SessionFact(
                event_id=new_event_id(),
                occurred_at=now,
                revision=row["revision"],
                session_id=row["session_id"],
                session=Session.model_validate(fields),
                players_joined=(player_id,),
                by_socket=True,
                host_players=row["taken"],
                host_revision=row["host_revision"],
            )
            told = outbox_row(SESSION_JOINED.of(session_id=row["session_id"]), fact)
            event = (row["id"], row["revision"], now, row["epoch"], row["status"], [player_id])
            await transaction.execute("tell", TOLD, *told, *event)
            return outcome_of(fields)

        return await database.transact(work)

    return {
        "answer and fact in SQL": in_sql,
        "answer in Python, fact in SQL": answer_in_python,
        "both in Python": all_in_python,
    }


def outcome_of(fields: dict[str, object]) -> bytes:
    outcome = SessionOutcome.model_validate({**fields, "message": "The player has joined."})
    return outcome.__pydantic_serializer__.to_json(outcome)


async def measure(database: Database, postmaster: int, join: Join) -> tuple[float, float, float]:
    """Microseconds a join: of the wall, of this process, of PostgreSQL."""
    await database.execute("empty", EMPTY)
    await database.execute("make", MAKE)
    await database.execute("analyze", "ANALYZE sessions, seats, host_seats")
    left = iter(range(1, SESSIONS + 1))

    async def worker() -> None:
        for number in left:
            await join(number, PeerId(f"player-{number}-new"))

    before = time.perf_counter(), time.process_time(), of_postgres(postmaster)
    await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))
    after = time.perf_counter(), time.process_time(), of_postgres(postmaster)
    wall, ours, theirs = (1e6 * (end - start) / SESSIONS for start, end in zip(before, after, strict=True))
    return wall, ours, theirs


def of_postgres(postmaster: int) -> float:
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    return sum(cpu_seconds(pid) for pid in (postmaster, *map(int, children)))


class Unheard:
    """What PostgreSQL says is not printed."""

    def spawned(self, name: str, pid: int) -> None: ...

    def wrote(self, name: str, line: str) -> None: ...

    def ended(self, name: str) -> None: ...


async def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        postgres, port = Postgres.under(Path(directory)), free_port()
        server = await postgres.start(port, Unheard())
        try:
            await postgres.make_databases(port, ["session_manager"])
            url = f"postgresql://p2p@127.0.0.1:{port}/session_manager"
            await asyncio.to_thread(uvloop.run, compare(url, server.pid))  # which starts no program as another user
        finally:
            await server.stop()


async def compare(url: str, postmaster: int) -> None:
    migrations = files("session_manager") / "migrations"
    async with open_database(url, name="bench", migrations=migrations, plan_once=True) as database:
        await compare_in(database, postmaster)


async def compare_in(database: Database, postmaster: int) -> None:
    took: dict[str, list[tuple[float, float, float]]] = {name: [] for name in ways(database)}
    for number in range(ROUNDS + 1):
        for name, join in ways(database).items():
            times = await measure(database, postmaster, join)
            if number:  # the first has the statements planned
                took[name].append(times)
    print("| a join, µs | wall, 16 in flight | processor: Python | PostgreSQL | both | ratio |")
    print("|---|---|---|---|---|---|")
    first = 0.0
    for name, rounds in took.items():
        wall, ours, theirs = (statistics.median(times) for times in zip(*rounds, strict=True))
        both = ours + theirs
        first = first or both
        print(f"| {name} | {wall:.0f} | {ours:.0f} | {theirs:.0f} | {both:.0f} | {both / first:.2f} |")


asyncio.run(main())
