"""What session_manager answers and announces: sessions, the players in them, and their seats."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, Field

from contracts.identifiers import Identifier
from contracts.refusals import Code
from contracts.retelling import Retell, Retold
from contracts.subjects import Fact, Message, Nothing, Page, Rpc, Subject
from contracts.values import Capacity, Mbps, Milliseconds, Percent, Score, Text
from contracts.zones import Judgement


class SessionStatus(StrEnum):
    """Where a session stands; `ended` and `failed` are final."""

    PENDING = "pending"
    ACTIVE = "active"
    PAUSED = "paused"
    """Only a filter value; no session is ever paused."""
    MIGRATING = "migrating"
    FALLBACK = "fallback"
    ENDED = "ended"
    FAILED = "failed"


class ConnectionType(StrEnum):
    """How players reach the game."""

    WEBRTC = "webrtc"
    RELAY = "relay"
    FALLBACK = "fallback"


ORDERED = "ordered"
HOST_DRAINING = "host_draining"

PLANNED_MOVES = frozenset({ORDERED, HOST_DRAINING})
"""Reasons of moves whose former host is there yet: it goes on until its players have gone over."""

Figures = Mapping[str, float]
"""What a decision about a session came from, beside its reason: measures, bounds, counts; seconds end in `_s`."""

SessionRef = Annotated[str, Field(min_length=1, max_length=128)]
"""A session's string id (`session-` and 16 hex digits) or its integer id, in digits."""

MOST_CHECKPOINT_BYTES = 10 * 1024 * 1024

Sequence = Annotated[int, Field(ge=1, le=2**53 - 1)]
"""Counted by whoever hosts a session, on from that of the checkpoint it began with."""

ObjectName = Annotated[str, Field(pattern=r"^[0-9a-f-]{36}$")]
"""A UUIDv7."""

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Standby(Message):
    """The host that takes a session over at once when its own is lost; it holds a slot and seats for that."""

    host_id: str
    host_peer_id: str


class Session(Message):
    """A session as everybody sees it."""

    id: int
    session_id: str
    host_id: str
    host_peer_id: str
    zone_id: str
    connected_players: tuple[str, ...]
    """In the order of joining."""
    current_players: int
    max_players: int
    status: SessionStatus
    average_latency_ms: float | None
    average_packet_loss_percent: float | None
    bandwidth_usage_mbps: float | None
    quality_score: float | None
    connection_type: ConnectionType
    epoch: int
    """1 at first, one more each time the host changes."""
    end_reason: str | None
    fallback_endpoint: str | None = None
    """Where its players are while it is in `fallback`, host:port or URL; null: the client knows its central server."""
    standby: Standby | None = None
    """Where its zone asks for one, and one is found."""
    last_activity_at: AwareDatetime
    started_at: AwareDatetime | None
    ended_at: AwareDatetime | None
    created_at: AwareDatetime
    updated_at: AwareDatetime


class SessionOutcome(Session):
    """The session after a command, and what the command came to."""

    message: str


class CreateSession(Message):
    """Start a session in a zone; it always makes a new one."""

    zone_id: Identifier
    host_id: Identifier | None = None
    """This host or a refusal that says why not; absent: placed by the coordinator."""
    player_ids: tuple[Identifier, ...] = Field(default=(), max_length=1000)
    """Distinct; each joins, so the session starts `active`."""
    max_players: Capacity | None = None
    """At most the zone's; absent: the smaller of the zone's and the host's."""


class JoinSession(Message):
    """Take a seat in this session, leaving any other; repeated, it is the same seat."""

    session: SessionRef
    player_id: Identifier
    socket: bool = False
    """Taken by a signaling socket: the seat is given up some time after the socket is gone."""


class EnterZone(Message):
    """Take a seat in a session of the zone that has room, or in a new one."""

    zone_id: Identifier
    player_id: Identifier
    user_id: Text | None = None
    socket: bool = False


class LeaveSession(Message):
    """Give the seat up; giving up a seat one does not have is PLAYER_NOT_FOUND."""

    session: SessionRef | None = None
    """Absent: whichever session the player is in."""
    player_id: Identifier


class NameSession(Message):
    """A question about one session."""

    session: SessionRef


class ListSessions(Page):
    """Sessions, newest first."""

    status: SessionStatus | None = None
    live: bool = False
    """Only sessions that are neither ended nor failed."""
    zone_id: Identifier | None = None
    host_id: Identifier | None = None
    standby_host_id: Identifier | None = None
    """Those that this host stands by for."""
    player_id: Identifier | None = None


class SessionPage(Message):
    """One page of sessions; fewer than asked for where more would not fit one reply."""

    items: tuple[Session, ...]
    next_cursor: str | None = None


class EndSession(Message):
    """End a session and free its seats; ending twice is the first end."""

    session: SessionRef
    reason: Text = "normal"


class MigrateSession(Message):
    """Give a session to another host; where none fits it is refused, and stays where it is."""

    session: SessionRef
    host_id: Identifier | None = None
    """To this host or a refusal that says why not; absent: placed by the coordinator."""


class ReportMetrics(Message):
    """What players and host measured; what is absent stays as it was."""

    session: SessionRef
    player_id: Identifier | None = None
    """Whose measure it is, where no player's token says so: the session's is the middle one of its players'.

    Absent: of the session as a whole.
    """
    epoch: int | None = Field(default=None, ge=1, le=2**31 - 1)
    """In which what is reported was measured: of an earlier host it is refused as STALE_EPOCH, with the present one."""
    average_latency_ms: Milliseconds | None = None
    packet_loss_percent: Percent | None = None
    bandwidth_usage_mbps: Mbps | None = None
    quality_score: Score | None = None


class CleanSessions(Message):
    """End every session without activity for this long."""

    timeout_minutes: int = Field(default=30, ge=1, le=1_000_000)


class SessionsCleaned(Message):
    """What a cleanup ended."""

    cleaned: int
    session_ids: tuple[str, ...] = Field(max_length=1000)
    message: str


class KeepCheckpoint(Message):
    """What a session's host has stored of it is whole: keep it instead of the one before."""

    session: SessionRef
    epoch: int = Field(ge=1)
    """The session's, as the host knows it; refused with `stale_epoch` where another host has taken over since."""
    sequence: Sequence
    """Greater than that of the one before, through all epochs."""
    object: ObjectName
    size: int = Field(ge=0, le=MOST_CHECKPOINT_BYTES)
    sha256: Sha256


class Checkpoint(Message):
    """The newest whole checkpoint of a session."""

    session_id: str
    epoch: int
    """Whose it is."""
    sequence: int
    size: int
    """Bytes."""
    sha256: str
    """In hex."""
    object: str
    """Under which name its bytes are stored."""
    stored_at: AwareDatetime


class SessionEvent(Message):
    """One line of a session's history."""

    event: str
    """The past participle of the fact's subject: created, joined, left, …"""
    occurred_at: AwareDatetime
    revision: int
    epoch: int
    status: SessionStatus
    players_joined: tuple[str, ...] = ()
    players_left: tuple[str, ...] = ()
    reason: str | None = None
    figures: Figures = Field(default_factory=dict)
    trace_id: str | None = None


class ListSessionEvents(Page):
    """A session's history, oldest first."""

    session: SessionRef


class SessionHistory(Message):
    """One page of a session's history."""

    items: tuple[SessionEvent, ...]
    next_cursor: str | None = None


class Grounds(Message):
    """Why a session was given this host: how it and the runners-up were judged at that moment."""

    judgements: tuple[Judgement, ...] = Field(max_length=8)
    """The chosen host first."""
    considered: int
    """Hosts that were looked at."""


class Decision(Message):
    """A host chosen, left or given up, and what spoke for it."""

    event: str
    """As in the history: created, migrating, migrated, fell-back, ended, failed."""
    occurred_at: AwareDatetime
    epoch: int
    reason: str | None = None
    figures: Figures = Field(default_factory=dict)
    """Beside the reason: measures, bounds; `hosts_` and a code: how many hosts were passed over for it."""
    grounds: Grounds | None = None
    """Where a host was chosen; null in what was decided before grounds were kept."""
    trace_id: str | None = None


class SessionExplained(Message):
    """Why a session is where it is."""

    session_id: str
    zone_id: str
    status: SessionStatus
    host_id: str
    """In fallback, the last one."""
    epoch: int
    decisions: tuple[Decision, ...] = Field(max_length=100)
    """The newest 100, oldest of them first."""


class SessionCounts(Message):
    """Totals over all sessions, kept as they change."""

    total: int
    active: int
    """Neither ended nor failed."""
    inactive: int
    total_players: int
    """In live sessions now."""
    average_latency_ms: float | None
    """Of live sessions that have reported one."""


class SeatsTaken(Message):
    """How many seats are taken on a host, over all its sessions and those that it stands by for."""

    host_id: str
    taken: int
    revision: int
    """Raised with every change of `taken`; the higher one is the newer."""


class SessionFact(Fact):
    """Something happened to a session; `session` is how it stood afterwards."""

    session_id: str
    session: Session
    players_joined: tuple[str, ...] = ()
    players_left: tuple[str, ...] = ()
    by_socket: bool = False
    """Whether signaling sockets took the seats of those who joined."""
    reason: str | None = None
    figures: Figures = Field(default_factory=dict)
    host_players: int
    """Seats taken on the session's host, over all its sessions, afterwards."""
    host_revision: int
    """Raised with every change of `host_players`; the higher one is the newer."""
    standby_seats: SeatsTaken | None = None
    """On the standby that was named, let go or held to the players there are; null: nothing changed there."""


_FOUND = frozenset({Code.SESSION_NOT_FOUND})
_CHANGES = _FOUND | {Code.WRONG_STATE}
_SEATS = frozenset({Code.SESSION_FULL, Code.HOST_FULL})
_PLACES = frozenset(
    {Code.ZONE_NOT_FOUND, Code.ZONE_DISABLED, Code.NO_HOST_FREE, Code.HOST_NOT_FOUND, Code.HOST_NOT_ELIGIBLE}
)

CREATE_SESSION = Rpc("p2p.sessions.create", CreateSession, Session, _PLACES | _SEATS | {Code.INVALID})
JOIN_SESSION = Rpc("p2p.sessions.join", JoinSession, SessionOutcome, _CHANGES | _SEATS)
ENTER_ZONE = Rpc("p2p.sessions.enter", EnterZone, SessionOutcome, _PLACES | _SEATS)
LEAVE_SESSION = Rpc("p2p.sessions.leave", LeaveSession, SessionOutcome, _CHANGES | {Code.PLAYER_NOT_FOUND})
GET_SESSION = Rpc("p2p.sessions.get", NameSession, Session, _FOUND)
LIST_SESSIONS = Rpc("p2p.sessions.list", ListSessions, SessionPage, frozenset())
ACTIVATE_SESSION = Rpc("p2p.sessions.activate", NameSession, SessionOutcome, _CHANGES)
END_SESSION = Rpc("p2p.sessions.end", EndSession, SessionOutcome, _CHANGES)
MIGRATE_SESSION = Rpc("p2p.sessions.migrate", MigrateSession, SessionOutcome, _CHANGES | _PLACES | {Code.HOST_FULL})
REPORT_METRICS = Rpc(
    "p2p.sessions.metrics", ReportMetrics, SessionOutcome, _CHANGES | {Code.STALE_EPOCH, Code.CONFLICT}
)
CLEAN_SESSIONS = Rpc("p2p.sessions.clean", CleanSessions, SessionsCleaned, frozenset())
LIST_SESSION_EVENTS = Rpc("p2p.sessions.events", ListSessionEvents, SessionHistory, _FOUND)
KEEP_CHECKPOINT = Rpc(
    "p2p.sessions.keep_checkpoint", KeepCheckpoint, Checkpoint, _CHANGES | {Code.STALE_EPOCH, Code.CONFLICT}
)
GET_CHECKPOINT = Rpc("p2p.sessions.checkpoint", NameSession, Checkpoint, _FOUND | {Code.CHECKPOINT_NOT_FOUND})
EXPLAIN_SESSION = Rpc("p2p.sessions.explain", NameSession, SessionExplained, _FOUND)
COUNT_SESSIONS = Rpc("p2p.sessions.count", Nothing, SessionCounts, frozenset())
RETELL_SESSIONS = Rpc("p2p.sessions.retell", Retell, Retold, frozenset())

SESSION_CREATED = Subject("p2p.events.sessions.{session_id}.created", SessionFact)
SESSION_ACTIVATED = Subject("p2p.events.sessions.{session_id}.activated", SessionFact)
SESSION_JOINED = Subject("p2p.events.sessions.{session_id}.joined", SessionFact)
SESSION_LEFT = Subject("p2p.events.sessions.{session_id}.left", SessionFact)
SESSION_ENDED = Subject("p2p.events.sessions.{session_id}.ended", SessionFact)
SESSION_FAILED = Subject("p2p.events.sessions.{session_id}.failed", SessionFact)
SESSION_FELL_BACK = Subject("p2p.events.sessions.{session_id}.fell-back", SessionFact)
"""Its host serves it no longer: slot and seats there are free; its players keep their seats in the session."""
SESSION_MIGRATING = Subject("p2p.events.sessions.{session_id}.migrating", SessionFact)
"""Its host serves it no longer, and another is looked for; slot and seats there are free, as when it fell back."""
SESSION_MIGRATED = Subject("p2p.events.sessions.{session_id}.migrated", SessionFact)
"""Another host serves it, in the next epoch; the slot there is confirmed by this."""
SESSION_STANDBY_CHANGED = Subject("p2p.events.sessions.{session_id}.standby-changed", SessionFact)
"""It has a standby, whose slot is confirmed by this, or none; or as many seats are held there as it has players."""
