"""Facts committed with their rows, and the relay that brings each to JetStream, in the order of its aggregate.

Aggregates (subjects without their last token) go side by side; of one aggregate, a fact is published when the one
before it is acknowledged. One relay at a time publishes for a database, whoever holds its advisory lock.
"""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from typing import NamedTuple, Self
from uuid import UUID

import asyncpg
import structlog
from contracts.subjects import Fact
from nats.errors import Error as NatsError

from chassis import tracing
from chassis.bus import Bus
from chassis.database import Database, Transaction
from chassis.jetstream import publish
from chassis.metrics import OUTBOX_OLDEST, OUTBOX_RELAYED, OUTBOX_RELAYING, OUTBOX_WAITING
from chassis.postgres import connect_when_there
from chassis.refusals import ServiceError
from chassis.semantics import MESSAGE_ID, kind_of, spoken_of

log = structlog.stdlib.get_logger()

OUTBOX_COLUMNS = "outbox (event_id, subject, payload, traceparent)"
"""For a store that tells in the statement that changes:

WITH moved AS (UPDATE … RETURNING revision) INSERT INTO {OUTBOX_COLUMNS}
SELECT $1, $2, $3::jsonb || jsonb_build_object('revision', moved.revision), $4 FROM moved
"""

# $1 event_id, $2 subject, $3 payload, $4 traceparent
_INSERT = """
INSERT INTO outbox (event_id, subject, payload, traceparent)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::jsonb[], $4::text[])
"""

_LOCK = 0x6F757462  # "outb"
_TRY_LOCK = "SELECT pg_try_advisory_lock($1)"
_READ = """
SELECT seq, event_id, subject, payload, traceparent, extract(epoch FROM now() - written_at)::float8 AS age_s
FROM outbox ORDER BY seq LIMIT $1
"""
_LAST = "SELECT max(seq) FROM outbox"
_DELETE = "DELETE FROM outbox WHERE seq = ANY($1::bigint[])"
_NOTIFY = "SELECT pg_notify('outbox', '')"

BATCH = 256
"""Rows read at once: pipelined, more gains nothing."""

POLL = timedelta(milliseconds=250)
"""Rows that another instance wrote are noticed by NOTIFY; the poll is for the notice that got lost."""

STAND_BY = timedelta(seconds=1)
"""How long after the end of one relay the next takes over, at most."""

NOTIFY_EVERY_S = 0.02
"""NOTIFY makes commits wait for one another, so a standby tells the relay of many writes at once, outside of them."""

DATABASE_ANSWERS_WITHIN_S = 5.0
"""Longer, and the connection is taken for dead, and with it the lock."""

FINISH_WITHIN_S = 2.0

BACK_OFF_FIRST_S = 0.05
BACK_OFF_LONGEST_S = 2.0


class OutboxRow(NamedTuple):
    """The four values of a row, in the order of `OUTBOX_COLUMNS`."""

    event_id: UUID
    subject: str
    payload: str
    traceparent: str | None


def outbox_row(subject: str, fact: Fact) -> OutboxRow:
    """Make the row of a fact that is about to be committed, in the trace of whoever caused it."""
    return OutboxRow(UUID(fact.event_id), subject, fact.model_dump_json(), tracing.current_traceparent())


async def tell(statements: Transaction | Database, rows: Iterable[OutboxRow]) -> None:
    """Write rows by a statement of their own, inside the transaction that they belong to."""
    columns = list(zip(*rows, strict=True))
    if columns:
        await statements.execute("outbox.tell", _INSERT, *columns)


class OutboxRelay:
    """Publishes a database's outbox from `async with` until that ends."""

    def __init__(self, database: Database, bus: Bus) -> None:
        self._database = database
        self._bus = bus
        self._back_off_s = BACK_OFF_FIRST_S
        self.leading = False
        """Whether this process is the one that publishes."""

    async def __aenter__(self) -> Self:
        self._stopping = False
        self._task = asyncio.create_task(self._relay(), name="outbox relay")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Publish what is written, if it goes quickly; the rest is for the next relay."""
        self._stopping = True
        self._database.outbox_written.set()
        await asyncio.wait({self._task}, timeout=FINISH_WITHIN_S)
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _relay(self) -> None:
        while not self._stopping:
            try:
                await self._with_connection()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                log.warning("outbox.database_lost", error=str(error) or type(error).__name__)
                await self._pause()
            except Exception:
                log.exception("outbox.round_failed")
                await self._pause()

    async def _with_connection(self) -> None:
        connection = await self._connect()
        try:
            while not await connection.fetchval(_TRY_LOCK, _LOCK):
                if self._stopping:
                    return
                await self._stand_by(connection)
            await self._lead(connection)
        finally:
            self._leads(leading=False)
            connection.terminate()

    async def _connect(self) -> asyncpg.Connection:
        return await connect_when_there(self._database.url, "outbox relay", answer_within_s=DATABASE_ANSWERS_WITHIN_S)

    async def _lead(self, connection: asyncpg.Connection) -> None:
        await connection.add_listener("outbox", lambda *_: self._database.outbox_written.set())
        self._leads(leading=True)
        while await self._round(connection) or not self._stopping:
            pass

    def _leads(self, *, leading: bool) -> None:
        self.leading = leading
        OUTBOX_RELAYING.set(leading)
        if not leading:  # what waits is another's to tell
            OUTBOX_WAITING.set(0)
            OUTBOX_OLDEST.set(0)

    async def _stand_by(self, connection: asyncpg.Connection) -> None:
        if await self._written(STAND_BY):
            await connection.execute(_NOTIFY)
            await asyncio.sleep(NOTIFY_EVERY_S)

    async def _round(self, connection: asyncpg.Connection) -> bool:
        """Publish a batch, or wait for one; whether there was one."""
        rows = await connection.fetch(_READ, BATCH)
        await self._measure(connection, rows)
        if not rows:
            if not self._stopping:
                await self._written(POLL)
            return False
        things: dict[str, list[asyncpg.Record]] = {}
        for row in rows:
            things.setdefault(row["subject"].rpartition(".")[0], []).append(row)
        published = await asyncio.gather(*(self._publish_in_order(of_one) for of_one in things.values()))
        done = [seq for of_one in published for seq in of_one]
        if done:
            await self._forget(connection, done)
        if len(done) < len(rows):
            await self._pause()
        else:
            self._back_off_s = BACK_OFF_FIRST_S
        return True

    async def _measure(self, connection: asyncpg.Connection, rows: list[asyncpg.Record]) -> None:
        """Say how much waits, and for how long; of more than a batch how far its ends are apart."""
        waiting = len(rows)
        if waiting == BATCH:  # a count would read them all
            waiting = await connection.fetchval(_LAST) - rows[0]["seq"] + 1
        OUTBOX_WAITING.set(waiting)
        OUTBOX_OLDEST.set(rows[0]["age_s"] if rows else 0)

    async def _forget(self, connection: asyncpg.Connection, published: list[int]) -> None:
        await connection.execute(_DELETE, published)
        OUTBOX_RELAYED.inc(len(published))

    async def _publish_in_order(self, rows: list[asyncpg.Record]) -> list[int]:
        """Publish the rows of one aggregate; the first that fails holds up those behind it, till the next round."""
        done: list[int] = []
        for row in rows:
            try:
                await self._publish(row)
            except (ServiceError, NatsError) as error:
                log.warning("outbox.publish_failed", subject=row["subject"], error=str(error) or type(error).__name__)
                break
            done.append(row["seq"])
        return done

    async def _publish(self, row: asyncpg.Record) -> None:
        headers: dict[str, str] = {}
        subject, message_id = row["subject"], str(row["event_id"])
        with tracing.continued(row["traceparent"], f"publish {kind_of(subject)}", tracing.SpanKind.PRODUCER) as span:
            if span.is_recording():
                span.set_attributes({MESSAGE_ID: message_id, **spoken_of(subject)})
            tracing.inject(headers)
            await publish(self._bus, subject, row["payload"].encode(), message_id=message_id, headers=headers)

    async def _written(self, within: timedelta) -> bool:
        """Wait until something was written to the outbox, or the time is over."""
        try:
            async with asyncio.timeout(within.total_seconds()):
                await self._database.outbox_written.wait()
        except TimeoutError:
            return False
        self._database.outbox_written.clear()
        return True

    async def _pause(self) -> None:
        await asyncio.sleep(self._back_off_s)
        self._back_off_s = min(BACK_OFF_LONGEST_S, self._back_off_s * 2)
