"""What becomes of a session that has no host, by what its zone says."""

from dataclasses import dataclass
from enum import StrEnum

from contracts.sessions import SessionStatus
from contracts.zones import Requirements, Zone, ZoneStatus


class Closed(StrEnum):
    """Why no host may serve a zone's sessions, not even those that it serves now; the reason that players are told."""

    P2P_DISABLED = "p2p_disabled"
    ZONE_DISABLED = "zone_disabled"


@dataclass(frozen=True, slots=True)
class ZonePolicy:
    """What a zone says of its sessions' hosts, and of their players where none serves."""

    fallback_enabled: bool
    fallback_endpoint: str | None
    max_latency_ms: float
    closed_for: Closed | None = None
    standby: bool = False
    """Whether its sessions with players have a second host in reserve."""


def policy_of(zone: Zone) -> ZonePolicy:
    """What the zone says; in maintenance it takes no new sessions, and keeps those it has."""
    closed_for = None
    if zone.status is ZoneStatus.DISABLED:
        closed_for = Closed.ZONE_DISABLED
    elif not zone.p2p_enabled:
        closed_for = Closed.P2P_DISABLED
    return ZonePolicy(zone.fallback_enabled, zone.fallback_endpoint, zone.max_latency_ms, closed_for, zone.standby)


def _unless_said() -> ZonePolicy:
    fields = Requirements.model_fields
    return ZonePolicy(
        fallback_enabled=fields["fallback_enabled"].default,
        fallback_endpoint=fields["fallback_endpoint"].default,
        max_latency_ms=fields["max_latency_ms"].default,
    )


UNLESS_SAID = _unless_said()
"""Of a zone that nothing has been heard of: what the contract says a zone is."""


def without_host(
    status: SessionStatus, policy: ZonePolicy, *, zone_open: bool, fallback_allowed: bool
) -> SessionStatus:
    """Where a session goes that loses its host; one that is still pending has nobody to send anywhere.

    `zone_open`: another host may serve the zone.
    """
    if status is not SessionStatus.ACTIVE:
        return SessionStatus.FAILED
    return SessionStatus.MIGRATING if zone_open else when_nobody_fits(policy, fallback_allowed=fallback_allowed)


def when_nobody_fits(policy: ZonePolicy, *, fallback_allowed: bool) -> SessionStatus:
    """Where an active session goes that no host may or can serve."""
    return SessionStatus.FALLBACK if policy.fallback_enabled and fallback_allowed else SessionStatus.FAILED
