"""What a zone is, and when a host may be placed in it: pure.

The contract's `Zone` serves as it is: a copy of its two dozen fields under another name would say nothing new.
"""

from collections.abc import Mapping

from contracts.hosts import FindHosts
from contracts.zones import ChangeZone, PutZone, Zone, ZoneStatus

OLD_SCALE_FROM, OLD_SCALE_TO, OLD_SCALE_FACTOR = 1.0, 10.0, 10.0
"""The predecessor's minimum scores went from 0 to 10; programs written for it still send 7.5 for three quarters."""

Fields = Mapping[str, object]


def stored_score(minimum: float) -> float:
    """Bring a minimum score from the old scale to ours; 10 and more, and less than 1, is ours already."""
    return minimum * OLD_SCALE_FACTOR if OLD_SCALE_FROM <= minimum < OLD_SCALE_TO else minimum


def definition(put: PutZone) -> Fields:
    """Give all fields of the zone, as they are stored."""
    return _stored(put.model_dump(mode="json"))


def changes(change: ChangeZone) -> Fields:
    """Give the fields to change, as they are stored: those that the sender has set."""
    return _stored(change.model_dump(mode="json", exclude_unset=True, exclude={"zone_id"}))


def _stored(fields: dict[str, object]) -> Fields:
    minimum = fields.get("min_host_quality_score")
    if isinstance(minimum, (int, float)):
        fields["min_host_quality_score"] = stored_score(minimum)
    return fields


def reason_against_hosts(zone: Zone, *, p2p_allowed: bool) -> str | None:
    """Say why no host may be placed in the zone at all, whichever it is; None when one may."""
    if not p2p_allowed:
        return "peer-to-peer is switched off for every zone (ENABLE_P2P)"
    if zone.status is not ZoneStatus.ENABLED:
        return "the zone is " + ("disabled" if zone.status is ZoneStatus.DISABLED else "in maintenance")
    if not zone.p2p_enabled:
        return "the zone is served by the central server only"
    return None


def way_out(zone: Zone, *, fallback_allowed: bool) -> dict[str, str | None]:
    """Give the refusal's field that says where players go meanwhile, null for their own client's central server.

    Empty where they are to go nowhere.
    """
    return {"fallback_endpoint": zone.fallback_endpoint} if fallback_allowed and zone.fallback_enabled else {}


def hosts_for(
    zone: Zone,
    *,
    seats: int,
    limit: int,
    min_quality_score: float = 0,
    host_id: str | None = None,
    exclude: tuple[str, ...] = (),
    rejected: bool = False,
) -> FindHosts:
    """Put what the zone demands of a host the way the registry can search by it; a minimum can only be raised."""
    return FindHosts(
        seats=seats,
        min_quality_score=max(zone.min_host_quality_score, min_quality_score),
        min_bandwidth_mbps=zone.min_bandwidth_mbps,
        max_latency_ms=zone.max_latency_ms,
        regions=zone.regions,
        host_id=host_id,
        exclude=exclude,
        limit=limit,
        rejected=rejected,
    )
