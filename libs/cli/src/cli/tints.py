"""Words for people: states in colour, spans of time, and what is not known."""

from datetime import UTC, datetime

from contracts.hosts import HostStatus
from contracts.sessions import SessionStatus
from contracts.zones import ZoneStatus

from cli.spans import in_words
from cli.tables import Tinted

UNKNOWN = "-"

GOOD, DOUBTFUL, BAD, OVER = "green", "yellow", "red", "dim"

_TINTS: dict[str, str] = {
    HostStatus.ONLINE: GOOD,
    HostStatus.SUSPECT: DOUBTFUL,
    HostStatus.OFFLINE: BAD,
    HostStatus.BUSY: DOUBTFUL,
    HostStatus.MAINTENANCE: DOUBTFUL,
    HostStatus.DRAINING: DOUBTFUL,
    ZoneStatus.ENABLED: GOOD,
    ZoneStatus.DISABLED: BAD,
    SessionStatus.ACTIVE: GOOD,
    SessionStatus.PENDING: DOUBTFUL,
    SessionStatus.MIGRATING: DOUBTFUL,
    SessionStatus.FALLBACK: DOUBTFUL,
    SessionStatus.FAILED: BAD,
    SessionStatus.ENDED: OVER,
}


def state(status: HostStatus | SessionStatus | ZoneStatus) -> Tinted:
    return Tinted(status, _TINTS.get(status, ""))


def yes(is_so: bool) -> str:
    return "yes" if is_so else "no"


def number(value: float | None, unit: str = "") -> str:
    """A measure in its unit, or that nobody knows it."""
    return UNKNOWN if value is None else f"{round(value, 1):g}{unit}"


def ago(at: datetime | None) -> str:
    """How long something has been so; what its clock says of the future is now."""
    return UNKNOWN if at is None else in_words((datetime.now(UTC) - at).total_seconds())


def moment(at: datetime | None) -> str:
    return UNKNOWN if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
