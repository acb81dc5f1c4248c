"""What happens to a host agent, as its `on_event` hears it; sessions come and go as the gateway's own frames."""

from dataclasses import dataclass
from datetime import timedelta

from contracts.frames import SessionAssigned, SessionReleased, StandbyAssigned, StandbyReleased
from contracts.hosts import Host


@dataclass(frozen=True)
class Registered:
    """The registry knows this host; again when it had forgotten it."""

    host: Host


@dataclass(frozen=True)
class BeatStored:
    """The registry has this beat; `host` is how it stands after it."""

    host: Host


@dataclass(frozen=True)
class BeatFailed:
    """A beat was not stored; the next one is on its way at its time."""

    reason: str


@dataclass(frozen=True)
class SignalingConnected:
    """Players can reach this host."""


@dataclass(frozen=True)
class SignalingLost:
    """No new player can reach this host until it is back; those connected stay so."""

    reason: str
    retry_in: timedelta


@dataclass(frozen=True)
class PlayerArriving:
    """A player's offer is here."""

    session_id: str
    player_id: str


@dataclass(frozen=True)
class PlayerConnected:
    """A data channel to the player is open."""

    session_id: str
    player_id: str
    elapsed: timedelta
    """Since the offer."""


@dataclass(frozen=True)
class PlayerFailed:
    """An offer came to nothing."""

    session_id: str
    player_id: str
    reason: str


@dataclass(frozen=True)
class PlayerGone:
    """A player who was connected is so no longer."""

    session_id: str
    player_id: str
    reason: str


AgentEvent = (
    Registered
    | BeatStored
    | BeatFailed
    | SignalingConnected
    | SignalingLost
    | SessionAssigned
    | SessionReleased
    | StandbyAssigned
    | StandbyReleased
    | PlayerArriving
    | PlayerConnected
    | PlayerFailed
    | PlayerGone
)
