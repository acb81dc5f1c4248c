"""Zones, hosts and facts that tests begin from."""

from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from contracts.hosts import Candidate, Host, Rejection
from contracts.sessions import SessionFact
from contracts.zones import PutZone, Zone, ZoneStatus
from testkit.examples import empty_session, registered_host

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)

PARTS = {"latency": 15.0, "packet_loss": 10.0, "room": 25.0, "cpu": 10.0, "memory": 10.0, "network": 5.0}
"""Of the documented host while nobody has measured it."""


def put_zone(zone_id: str = "prontera", **fields: Any) -> PutZone:
    names = {"zone_name": zone_id, "zone_display_name": zone_id.title(), "map_name": zone_id}
    return PutZone(zone_id=zone_id, **(names | fields))


def zone(zone_id: str = "prontera", **fields: Any) -> Zone:
    stands: dict[str, Any] = {
        "id": 1,
        "status": ZoneStatus.ENABLED,
        "total_sessions": 0,
        "active_sessions": 0,
        "total_players_served": 0,
        "created_at": NOON,
        "updated_at": NOON,
    }
    return Zone.model_validate(put_zone(zone_id).model_dump() | stands | fields)


def host(host_id: str = "host-12345", **fields: Any) -> Host:
    return registered_host(host_id, NOON, **fields)


def candidate(
    host_id: str = "host-12345", *rejections: Rejection, seats_taken: int = 0, slots_taken: int = 0, **fields: Any
) -> Candidate:
    return Candidate(
        host=host(host_id, **fields),
        rejections=rejections,
        seats_taken=seats_taken,
        slots_taken=slots_taken,
        score_parts=PARTS,
    )


def session_fact(
    revision: int,
    *,
    session_id: str = "session-0000000000000001",
    zone_id: str = "prontera",
    joined: tuple[str, ...] = (),
    left: tuple[str, ...] = (),
) -> SessionFact:
    session = empty_session(session_id, NOON, zone_id=zone_id, started_at=NOON)
    return SessionFact(
        event_id=str(uuid5(NAMESPACE_OID, f"{session_id} {revision}")),
        occurred_at=NOON,
        revision=revision,
        session_id=session_id,
        session=session,
        players_joined=joined,
        players_left=left,
        host_players=len(joined),
        host_revision=revision,
    )
