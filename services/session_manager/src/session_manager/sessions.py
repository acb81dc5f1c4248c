"""What a session is: where it stands and may go next, who may take a seat in it, and which one a newcomer gets."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from types import MappingProxyType

from chassis.refusals import InvalidError
from contracts.identifiers import HostId, PeerId, SessionId, ZoneId
from contracts.sessions import SessionStatus

from session_manager.errors import (
    EpochToComeError,
    HostFullError,
    PlayerNotFoundError,
    SessionFullError,
    SessionNotFoundError,
    StaleEpochError,
    WrongStateError,
)
from session_manager.policies import ZonePolicy

NEXT: Mapping[SessionStatus, frozenset[SessionStatus]] = MappingProxyType(
    {
        SessionStatus.PENDING: frozenset({SessionStatus.ACTIVE, SessionStatus.ENDED, SessionStatus.FAILED}),
        SessionStatus.ACTIVE: frozenset(
            {SessionStatus.MIGRATING, SessionStatus.FALLBACK, SessionStatus.ENDED, SessionStatus.FAILED}
        ),
        SessionStatus.MIGRATING: frozenset(
            {SessionStatus.ACTIVE, SessionStatus.FALLBACK, SessionStatus.ENDED, SessionStatus.FAILED}
        ),
        SessionStatus.FALLBACK: frozenset({SessionStatus.MIGRATING, SessionStatus.ENDED, SessionStatus.FAILED}),
        SessionStatus.PAUSED: frozenset(),
        SessionStatus.ENDED: frozenset(),
        SessionStatus.FAILED: frozenset(),
    }
)
"""Where a session may go from where it stands."""

JOINABLE = frozenset({SessionStatus.PENDING, SessionStatus.ACTIVE})
"""A pending session becomes active by the first join; one that is changing its host takes nobody new meanwhile."""

HOSTLESS = frozenset({SessionStatus.MIGRATING, SessionStatus.FALLBACK})
"""Its seats are on no host; the session names the last one."""

LIVE = frozenset(status for status, following in NEXT.items() if following)

HOSTED = LIVE - HOSTLESS
"""Its seats are on the host that it names."""

RESUMABLE = LIVE - {SessionStatus.FALLBACK}
"""A player who sits in it and enters its zone comes back to it; one on the central server gets a host instead."""

MOST_PLAYERS = 1000
"""Every fact names all players of its session: this many of the longest names are what one NATS message holds."""

_SESSION_ID = re.compile(r"session-[0-9a-f]{16}")
_NUMBER = re.compile(r"[0-9]{1,18}")
"""What PostgreSQL's bigint surely holds; no session will have a longer number."""


@dataclass(frozen=True, slots=True)
class Ref:
    """How a session was named: by its number or by its string id."""

    number: int | None
    session_id: SessionId | None


@dataclass(frozen=True, slots=True)
class SessionState:
    """A session as the rules see it, with the room left on its host."""

    number: int
    session_id: SessionId
    status: SessionStatus
    epoch: int
    players: int
    max_players: int
    host_id: HostId
    host_players: int
    host_max_players: int


@dataclass(frozen=True, slots=True)
class Seat:
    """Where a player sits."""

    session: int
    host_id: HostId | None
    """None where the session has none: its seats are on no host."""


@dataclass(frozen=True, slots=True)
class Opening:
    """A session that a player who enters a zone may get."""

    number: int
    players: int
    own: bool
    """The player sits in it already."""
    unreached: bool = False
    """The player could not connect to its host lately."""


@dataclass(frozen=True, slots=True)
class PlacedHost:
    """The host that zone_manager chose for a session, and the bounds it set."""

    zone_id: ZoneId
    zone_max_players: int
    policy: ZonePolicy
    host_id: HostId
    host_peer_id: PeerId
    host_max_players: int
    host_number: int
    """Host.id: which of those that bore the name one after the other it is."""
    grounds: str
    """A `contracts.sessions.Grounds` as JSON."""


class Joining(Enum):
    """What a join comes to."""

    FIRST_SEAT = auto()
    SAME_SEAT = auto()
    MOVE = auto()


def read_ref(text: str) -> Ref:
    """Tell the two ways of naming a session apart; SessionNotFoundError for anything that names none."""
    if _SESSION_ID.fullmatch(text):
        return Ref(None, SessionId(text))
    if _NUMBER.fullmatch(text):
        return Ref(int(text), None)
    raise SessionNotFoundError(text)


def moves(state: SessionState, target: SessionStatus) -> bool:
    """Whether the session has yet to go to `target`; False when it is there, WrongStateError when it may not."""
    if state.status is target:
        return False
    if target not in NEXT[state.status]:
        raise WrongStateError(state.session_id, state.status)
    return True


def check_epoch(state: SessionState, epoch: int | None) -> None:
    """Refuse what is of another host's time than the present one's."""
    if epoch is not None and epoch < state.epoch:
        raise StaleEpochError(state.session_id, state.host_id, state.epoch)
    if epoch is not None and epoch > state.epoch:
        raise EpochToComeError(state.session_id, state.epoch)


def activates(state: SessionState) -> bool:
    """Whether a request to activate has anything to do; a session between hosts is not activated by request."""
    if state.status not in JOINABLE:
        raise WrongStateError(state.session_id, state.status)
    return state.status is SessionStatus.PENDING


def judge_join(state: SessionState, seat: Seat | None) -> Joining:
    """What joining means for a player who sits where `seat` says; refused where there is no room."""
    if state.status in LIVE and seat is not None and seat.session == state.number:
        return Joining.SAME_SEAT
    if state.status not in JOINABLE:
        raise WrongStateError(state.session_id, state.status)
    if state.players >= state.max_players:
        raise SessionFullError(state.session_id, state.max_players)
    seats_it_frees = 1 if seat is not None and seat.host_id == state.host_id else 0
    if state.host_players - seats_it_frees >= state.host_max_players:
        raise HostFullError(state.host_id, state.host_max_players)
    return Joining.FIRST_SEAT if seat is None else Joining.MOVE


def judge_leave(state: SessionState, seat: Seat | None, player_id: str) -> None:
    """Refuse to give up a seat that the player does not have."""
    if state.status not in LIVE:
        raise WrongStateError(state.session_id, state.status)
    if seat is None or seat.session != state.number:
        raise PlayerNotFoundError(player_id)


def choose_opening(openings: Iterable[Opening]) -> Opening | None:
    """The player's own session, else the fullest, so that few hosts carry many; of equals the oldest.

    One whose host the player could not connect to comes last: it may have another to go to.
    """
    return min(
        openings,
        key=lambda opening: (opening.unreached, not opening.own, -opening.players, opening.number),
        default=None,
    )


def check_new(player_ids: Sequence[str], max_players: int | None) -> None:
    """Refuse what no placement could make right."""
    if len(set(player_ids)) < len(player_ids):
        raise _invalid("player_ids", "player_ids must be distinct")
    if max_players is None:
        return
    if max_players > MOST_PLAYERS:
        raise _invalid("max_players", f"max_players must be at most {MOST_PLAYERS}")
    if len(player_ids) > max_players:
        raise _invalid("player_ids", "player_ids must be no more than max_players")


def check_fits_zone(max_players: int | None, zone_max_players: int) -> None:
    if max_players is not None and max_players > zone_max_players:
        raise _invalid("max_players", f"max_players must be at most the zone's {zone_max_players}")


def room_of_new(session_id: SessionId, place: PlacedHost, player_ids: Sequence[str], max_players: int | None) -> int:
    """How many a new session may hold; refused where the players it begins with are more."""
    check_fits_zone(max_players, place.zone_max_players)
    room = max_players or min(place.zone_max_players, place.host_max_players, MOST_PLAYERS)
    if len(player_ids) > place.host_max_players:
        raise HostFullError(place.host_id, place.host_max_players)
    if len(player_ids) > room:
        raise SessionFullError(session_id, room)
    return room


def _invalid(field: str, message: str) -> InvalidError:
    """In the form of a malformed request: where, and why."""
    return InvalidError(f"{message}.", fields={"errors": [{"loc": [field], "msg": message, "type": "value_error"}]})
