"""Facts of others, as session_manager hears them."""

from datetime import UTC, datetime

from chassis.ids import new_event_id
from contracts.gateway import IceOutcome, IceState, PeerPresence, SessionsActive
from contracts.hosts import Host, HostFact, HostStatus
from contracts.sessions import Session
from testkit.examples import registered_host

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def a_host(host_id: str, **changes: object) -> Host:
    about = {"peer_id": f"peer-of-{host_id}", "status": HostStatus.OFFLINE, "quality_score": 90.0, "confidence": 0.3}
    return registered_host(host_id, NOON, **(about | changes))


def a_host_fact(host_id: str, *, revision: int = 1, at: datetime = NOON, number: int = 1) -> HostFact:
    host = a_host(host_id, id=number)
    return HostFact(event_id=new_event_id(), occurred_at=at, revision=revision, host_id=host_id, host=host)


def an_outcome(session: Session, player: str, state: IceState, *, at: datetime, to: str | None = None) -> IceOutcome:
    """How the player's attempt to connect to the session's host came out."""
    return IceOutcome(
        event_id=new_event_id(),
        occurred_at=at,
        revision=1,
        gateway_id="gateway-1",
        session_id=session.session_id,
        peer_id=player,
        to=to or session.host_peer_id,
        state=state,
    )


def a_presence(
    player: str,
    session_id: str | None,
    *,
    at: datetime,
    revision: int = 1,
    gateway: str = "gateway-1",
    connection: str = "connection-1",
) -> PeerPresence:
    return PeerPresence(
        event_id=new_event_id(),
        occurred_at=at,
        revision=revision,
        gateway_id=gateway,
        connection_id=connection,
        peer_id=player,
        session_id=session_id,
    )


def sessions_active(gateway: str, *session_ids: str, at: datetime) -> SessionsActive:
    return SessionsActive(
        event_id=new_event_id(), occurred_at=at, revision=1, gateway_id=gateway, session_ids=session_ids
    )
