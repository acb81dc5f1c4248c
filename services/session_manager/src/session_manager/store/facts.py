"""How every statement that changes a session tells of it: in the same statement, so both are there or neither."""

import json
from typing import NewType

from chassis import tracing

from session_manager.health import Figures

SessionJson = NewType("SessionJson", str)
"""A `contracts.sessions.Session` as JSON text, as `session_json` of the migrations makes it."""

# $1 now, $2 traceparent
_TELL = """
, numbered AS MATERIALIZED (
    SELECT uuidv7() AS event_id, fact.* FROM fact
), recorded AS (
    INSERT INTO session_events
        (session, revision, event, occurred_at, epoch, status, players_joined, players_left, reason, figures, trace_id,
        grounds)
    SELECT session, revision, event, $1::timestamptz, epoch, status, joined, left_, reason, <figures>,
        substr($2::text, 4, 32), <grounds>
    FROM numbered
), told AS (
    INSERT INTO outbox (event_id, subject, payload, traceparent)
    SELECT event_id, 'p2p.events.sessions.' || session_id || '.' || event, jsonb_build_object(
        'event_id', event_id,
        'occurred_at', $1::timestamptz,
        'revision', revision,
        'session_id', session_id,
        'session', json,
        'players_joined', joined,
        'players_left', left_,
        'by_socket', <by_socket> AND joined <> '{}',
        'reason', reason,
        'figures', <figures>,
        'host_players', host_players,
        'host_revision', host_revision,
        'standby_seats', <standby_seats>
    ), $2::text
    FROM numbered ORDER BY session, revision
)
"""


def written(figures: Figures) -> str:
    """As `<figures>` are passed to a statement; durations and measures to the thousandth."""
    return json.dumps({name: round(value, 3) for name, value in figures.items()})


def telling(
    change: str,
    answer: str,
    figures: str = "'{}'::jsonb",
    by_socket: str = "false",
    grounds: str = "NULL::jsonb",
    standby_seats: str = "NULL::jsonb",
) -> str:
    """Make `change` also write the history and the outbox; `answer` is what the statement gives.

    `$1` of the statement is the time, `$2` the traceparent. `change` ends with a CTE `fact`, one row per fact: session,
    session_id, revision, event, epoch, status, joined, left_, reason, json, host_players, host_revision; and whatever
    `figures` says of where the change came from. `by_socket` is whether signaling sockets took the seats of `joined`,
    `grounds` why the session was given its host, `standby_seats` what is taken on the standby where that changed.
    """
    tell = _TELL.replace("<figures>", figures).replace("<by_socket>", by_socket).replace("<grounds>", grounds)
    return f"{change}{tell.replace('<standby_seats>', standby_seats)}{answer}"


def trace_decision(what: str, session_id: str, host_id: str, reason: str, figures: Figures) -> None:
    """Have the trace say what was decided of a session, and from which figures."""
    if tracing.recording():
        about = {"p2p.session_id": session_id, "p2p.host_id": host_id, "p2p.reason": reason}
        with tracing.span(what, attributes=about | {f"p2p.{name}": value for name, value in figures.items()}):
            pass
