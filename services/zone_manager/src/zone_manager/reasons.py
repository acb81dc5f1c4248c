"""Why hosts do not serve a zone, counted and in words: pure."""

from collections.abc import Iterable, Mapping

from contracts.hosts import Candidate, Rejection
from contracts.zones import Zone

_OF_MANY = {
    Rejection.NOT_ONLINE: "not online",
    Rejection.BEAT_STALE: "without a recent beat",
    Rejection.DRAINING: "draining",
    Rejection.HOST_FULL: "without a free seat",
    Rejection.NO_ZONE_SLOT: "without a free zone slot",
    Rejection.SCORE_TOO_LOW: "below the score of {zone.min_host_quality_score:g}",
    Rejection.BANDWIDTH_UNKNOWN: "of unknown bandwidth",
    Rejection.BANDWIDTH_TOO_LOW: "below {zone.min_bandwidth_mbps} Mbit/s",
    Rejection.LATENCY_TOO_HIGH: "above {zone.max_latency_ms} ms",
    Rejection.REGION_NOT_ALLOWED: "outside the zone's regions",
    Rejection.EXCLUDED: "excluded by the request",
}
_OF_ONE = {
    Rejection.NOT_ONLINE: "it is {host.status}",
    Rejection.BEAT_STALE: "its last beat is too long ago",
    Rejection.DRAINING: "it is draining",
    Rejection.HOST_FULL: "{stands.seats_taken} of its {host.max_players} seats are taken",
    Rejection.NO_ZONE_SLOT: "{stands.slots_taken} of its {host.max_zones} zone slots are taken",
    Rejection.SCORE_TOO_LOW: "its score is {host.quality_score:g}, the zone asks for {zone.min_host_quality_score:g}",
    Rejection.BANDWIDTH_UNKNOWN: "its bandwidth is unknown, the zone asks for {zone.min_bandwidth_mbps} Mbit/s",
    Rejection.BANDWIDTH_TOO_LOW: "it has {host.network_speed_mbps} Mbit/s, the zone asks for {zone.min_bandwidth_mbps}",
    Rejection.LATENCY_TOO_HIGH: "its latency is {host.latency_ms:g} ms, the zone allows {zone.max_latency_ms}",
    Rejection.REGION_NOT_ALLOWED: "it is in {host.region}, the zone allows {regions}",
    Rejection.EXCLUDED: "the request excludes it",
}


def rejection_counts(candidates: Iterable[Candidate], uncounted: Mapping[Rejection, int]) -> dict[Rejection, int]:
    """Count hosts per code: those listed, and those the registry has only counted."""
    counts = dict(uncounted)
    for candidate in candidates:
        for rejection in candidate.rejections:
            counts[rejection] = counts.get(rejection, 0) + 1
    return counts


def why_nobody(zone: Zone, counts: Mapping[Rejection, int], *, taken: bool) -> str:
    """Say in one sentence why no host serves the zone, the commonest reason first.

    `taken`: there are able hosts after all, which others kept taking first.
    """
    if taken:
        return f"Others were quicker at every host that could serve {zone.zone_id}; try again."
    if not counts:
        return f"No host can serve {zone.zone_id}: none is registered."
    commonest_first = sorted(counts.items(), key=lambda counted: (-counted[1], counted[0]))
    reasons = ", ".join(f"{count} {_OF_MANY[rejection].format(zone=zone)}" for rejection, count in commonest_first)
    return f"No host can serve {zone.zone_id} now; of those known, {reasons}."


def why_not(zone: Zone, candidate: Candidate) -> str:
    """Say in one sentence why this host does not serve the zone."""
    host, regions = candidate.host, ", ".join(zone.regions)
    reasons = "; ".join(
        _OF_ONE[rejection].format(zone=zone, host=host, stands=candidate, regions=regions)
        for rejection in candidate.rejections
    )
    return f"Host {host.host_id} cannot serve {zone.zone_id} now: {reasons}."
