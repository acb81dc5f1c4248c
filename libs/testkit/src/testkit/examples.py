"""Messages for tests, drawn from the goldens of contracts: one place to change when a field is added."""

import json
from datetime import datetime
from typing import Any, TypeVar

from contracts import catalogue
from contracts.hosts import Host
from contracts.sessions import Session
from contracts.subjects import Message
from contracts.zones import Zone

M = TypeVar("M", bound=Message)


def example(message: type[M], **fields: Any) -> M:
    """The golden of this message, but for `fields`."""
    return message.model_validate(json.loads(catalogue.golden(message)) | fields)


def empty_session(session_id: str, at: datetime, **fields: Any) -> Session:
    """A session made at this time, that nobody has played in or reported on."""
    nothing_yet = dict.fromkeys(
        (
            "average_latency_ms",
            "average_packet_loss_percent",
            "bandwidth_usage_mbps",
            "quality_score",
            "standby",
            "started_at",
        )
    )
    times = dict.fromkeys(("last_activity_at", "created_at", "updated_at"), at)
    nobody = {"connected_players": (), "current_players": 0}
    return example(Session, session_id=session_id, **(nothing_yet | times | nobody | fields))


def registered_host(host_id: str, at: datetime, **fields: Any) -> Host:
    """A host that registered at this time, and of which nothing is known but what it had to say."""
    said = ("ip_address", "port", "public_ip", "cpu_frequency_mhz", "bandwidth_usage_mbps", "region", "metadata")
    found = ("latency_ms", "packet_loss_percent", "measured_at", "jitter_ms", "upload_mbps")
    unknown = dict.fromkeys((*said, *found))
    nobody = {"current_players": 0, "current_zones": 0, "connected": False, "accepts_probes": False}
    unmeasured = {"measured": False, "confidence": 0.0, "quality_score": 75.0}
    times = dict.fromkeys(("last_heartbeat", "created_at", "updated_at"), at)
    names = {"host_id": host_id, "peer_id": host_id}
    return example(Host, **(unknown | nobody | unmeasured | times | names | fields))


def quiet_zone(zone_id: str, at: datetime, **fields: Any) -> Zone:
    """A zone that was made at this time, takes any host, and that nobody has played in."""
    names = {"zone_id": zone_id, "zone_name": zone_id, "map_name": zone_id}
    undemanding: dict[str, Any] = {"regions": (), "description": None, "checkpoint_interval_s": None}
    nobody = dict.fromkeys(("total_sessions", "active_sessions", "total_players_served"), 0)
    times = dict.fromkeys(("created_at", "updated_at"), at)
    return example(Zone, **(names | undemanding | nobody | times | fields))
