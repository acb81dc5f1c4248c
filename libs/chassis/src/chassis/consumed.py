"""Events already taken into account, by id, for consumers whose effect is not idempotent by itself."""

from datetime import timedelta
from uuid import UUID

from contracts.subjects import Fact

from chassis.database import Database, Transaction

KEPT = timedelta(days=8)
"""A day longer than the stream of events: nothing older can be delivered again."""

_MARK = "INSERT INTO consumed (consumer, event_id) VALUES ($1, $2) ON CONFLICT DO NOTHING"
_FORGET = "DELETE FROM consumed WHERE consumed_at < now() - $1::interval"


async def first_time(transaction: Transaction, consumer: str, fact: Fact) -> bool:
    """Whether `fact` has not had its effect yet; from the commit of this transaction on, it has."""
    marked = await transaction.execute("consumed.mark", _MARK, consumer, UUID(fact.event_id))
    return marked == "INSERT 0 1"


async def forget_old_events(database: Database) -> None:
    """Delete what can't be delivered again; a service runs it by its loops, every hour or so."""
    await database.execute("consumed.forget", _FORGET, KEPT)
