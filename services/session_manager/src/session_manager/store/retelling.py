"""Sessions told again: how each began and what happened to it last, under the revisions that those have.

Who knows a revision passes over it. Both say how the session stands now, and name of the players who came and went
only those with whom it is so still: no reader seats anybody who has left.
"""

from chassis.database import Database, Transaction
from chassis.tracing import current_traceparent
from contracts.retelling import Retell, Retold
from contracts.streams import EVENTS

AT_ONCE = 200
"""Their rows are locked for some 20 ms, so that what changes meanwhile is told afterwards."""

# $1 after, $2 limit, $3 max_age
_HOLD = """
SELECT id FROM sessions WHERE id > $1 AND (live OR updated_at > now() - $3::interval)
ORDER BY id LIMIT $2 FOR NO KEY UPDATE
"""

# $1 ids, $2 traceparent
_TELL = """
WITH fact AS MATERIALIZED (
    SELECT uuidv7() AS event_id, s.session_id, s.connected_players, session_json(s) AS json,
        h.taken AS host_players, h.revision AS host_revision, e.*,
        CASE WHEN held.host_id IS NOT NULL THEN
            jsonb_build_object('host_id', held.host_id, 'taken', held.taken, 'revision', held.revision)
        END AS standby_seats
    FROM sessions s
    JOIN host_seats h USING (host_id)
    LEFT JOIN host_seats held ON held.host_id = s.standby_host_id
    JOIN session_events e ON e.session = s.id AND e.revision IN (1, s.revision)
    WHERE s.id = ANY($1::bigint[])
), told AS (
    INSERT INTO outbox (event_id, subject, payload, traceparent)
    SELECT event_id, 'p2p.events.sessions.' || session_id || '.' || event, jsonb_build_object(
        'event_id', event_id,
        'occurred_at', occurred_at,
        'revision', revision,
        'session_id', session_id,
        'session', json,
        'players_joined', ARRAY(SELECT p FROM unnest(players_joined) AS p WHERE p = ANY(connected_players)),
        'players_left', ARRAY(SELECT p FROM unnest(players_left) AS p WHERE p <> ALL(connected_players)),
        'by_socket', coalesce((
            SELECT bool_and(socket) FROM seats
            WHERE seats.session = fact.session AND player_id = ANY(players_joined)
        ), false),
        'reason', reason,
        'figures', figures,
        'host_players', host_players,
        'host_revision', host_revision,
        'standby_seats', standby_seats
    ), $2::text
    FROM fact ORDER BY session, revision
)
SELECT count(*) FROM fact
"""


class RetellingStore:
    """Reads sessions and their history, and writes the outbox."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def retell(self, question: Retell) -> Retold:
        """Those that live, and those that ended within what the stream of events keeps."""

        async def work(transaction: Transaction) -> Retold:
            held = await transaction.fetch("sessions.hold", _HOLD, question.after, AT_ONCE, EVENTS.max_age)
            ids = [row["id"] for row in held]
            facts = await transaction.fetchval("sessions.retell", _TELL, ids, current_traceparent())
            return Retold(facts=facts, after=ids[-1] if len(ids) == AT_ONCE else None)

        return await self._database.transact(work)
