"""Sessions as a table, wherever some are shown."""

from collections.abc import Iterable, Sequence

from contracts.sessions import Session
from rich.text import Text

from cli.tables import Cell, Column, lines_of, room
from cli.tints import UNKNOWN, ago, number, state

COLUMNS = (
    Column("session"),
    Column("zone"),
    Column("status"),
    Column("players", right=True, leave_out=1),
    Column("host", leave_out=2),
    Column("epoch", right=True, leave_out=4),
    Column("latency", right=True, leave_out=5),
    Column("age", right=True, leave_out=3),
    Column("quiet for", right=True, leave_out=6),
    Column("ended", leave_out=7, stretches=True),
)


def session_lines(sessions: Sequence[Session], otherwise: str) -> Iterable[Text]:
    """The table, or those words where there is no session."""
    if not sessions:
        return [Text(otherwise)]
    return lines_of(COLUMNS, (_row(session) for session in sessions), room())


def _row(session: Session) -> tuple[Cell, ...]:
    return (
        session.session_id,
        session.zone_id,
        state(session.status),
        f"{session.current_players}/{session.max_players}",
        session.host_id,
        str(session.epoch),
        number(session.average_latency_ms, " ms"),
        ago(session.created_at),
        ago(session.last_activity_at),
        session.end_reason or UNKNOWN,
    )
