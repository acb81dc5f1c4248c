"""What the OpenAPI document shows: calls, which must work as they stand, answers, and refusals."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from contracts import catalogue
from contracts.refusals import MEANINGS, Code

REGISTER = {
    "as documented": {
        "host_id": "host-12345",
        "player_id": "player-67890",
        "player_name": "PlayerOne",
        "cpu_cores": 8,
        "memory_mb": 16384,
        "network_speed_mbps": 1000,
    }
}
BEAT = {
    "usual": {
        "latency_ms": 12.5,
        "packet_loss_percent": 0.1,
        "bandwidth_usage_mbps": 5.0,
        "current_players": 3,
        "current_zones": 1,
    }
}
CREATE = {
    "as documented": {"host_id": "host-12345", "zone_id": "prontera", "max_players": 50},
    "placed by the coordinator": {"zone_id": "prontera", "player_ids": ["150001"]},
}
ZONE = {
    "small": {
        "zone_id": "prontera",
        "zone_name": "prontera",
        "zone_display_name": "Prontera City",
        "map_name": "prontera",
        "max_players": 100,
    }
}
METRICS = {
    "usual": {"avg_latency_ms": 20.5, "packet_loss_percent": 0.1, "bandwidth_usage_mbps": 3.0},
    "of one player": {"player_id": "150001", "average_latency_ms": 20.5, "packet_loss_percent": 0.1},
}
SEAT = {"usual": {"player_id": "150001"}}
ENTER = {"usual": {"zone_id": "prontera", "peer_id": "150001"}}
LEAVE = {"usual": {"peer_id": "150001"}}
DRAIN = {"whoever registered": {}, "as the run that registered": {"run_id": "0199f3a1-5c1e-7d52-9a37-3f1c2d6b8e01"}}
CHANGE_HOST = {"lets fewer in": {"max_players": 20}}
CHANGE_ZONE = {"asks for more": {"min_host_quality_score": 70, "max_latency_ms": 60}}
ZONE_STATUS = {"for a while": {"status": "maintenance"}}
CLEANUP = {"usual": {"timeout_minutes": 30}}
END = {"usual": {"reason": "normal"}}
MIGRATE = {"to whichever is best": {}, "to this one": {"host_id": "host-12345"}}
REFRESH = {"with the refresh token": {"refresh_token": "eyJhbGciOiJFZERTQSJ9.e30.c2lnbmF0dXJl"}, "with the header": {}}
KEY = {"for a game server": {"role": "server", "name": "prontera-1"}}
KICK = {"for an hour": {"reason": "speed hack", "for_s": 3600}}
SIGNAL = {"session_id": "session-0123456789abcdef", "peer_id": "player-67890"}

_SDP = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
_CANDIDATE = {"candidate": "candidate:1 1 udp 2130706431 203.0.113.7 7777 typ host", "sdpMid": "0"}
_ICE = [{"urls": ["stun:stun.example.net:3478"]}]
_SERVICE = {"service": "p2p-coordinator", "version": "1.0.0"}

ANSWERS: Mapping[str, Any] = {
    "Entered": {
        "session_id": "session-0123456789abcdef",
        "host_id": "host-12345",
        "host_peer_id": "host-12345",
        "epoch": 1,
        "peers": ["150002"],
        "ice_servers": _ICE,
        "ticket": None,
    },
    "VerifyingKeys": {
        "keys": [
            {
                "kty": "OKP",
                "crv": "Ed25519",
                "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
                "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
                "use": "sig",
                "alg": "EdDSA",
            }
        ]
    },
    "ZonePeers": {"zone_id": "prontera", "peers": ["150001", "150002"], "count": 2},
    "Posted": {"session_id": "session-0123456789abcdef", "delivered": True},
    "Described": {"peer_id": "player-67890", "sdp": _SDP},
    "Candidates": {"candidates": [{"peer_id": "player-67890", "candidate": _CANDIDATE}], "after": "1764028800000-0"},
    "IceServersFound": {"ice_servers": _ICE},
    "SignalingStats": {"active_connections": 42, "active_sessions": 7},
    "HostStats": {
        "total_online": 12,
        "quality_distribution": {"excellent": 5, "good": 4, "fair": 2, "poor": 1},
    },
    "HealthReport": {
        "status": "healthy",
        **_SERVICE,
        "database": {"postgres": "connected", "redis": "connected"},
        "nats": "connected",
        "away": [],
    },
    "Live": {"status": "live"},
    "Readiness": {"status": "ready", "away": [], "notes": []},
    "Root": {**_SERVICE, "status": "running", "p2p_enabled": True, "enabled_zones": ["geffen", "prontera"]},
    "Dashboard": {
        "hosts": {"known": True, "total": 14, "online": 12, "offline": 2, "average_quality_score": 87.5},
        "zones": {"known": True, "total": 7, "enabled": 7, "disabled": 0},
        "sessions": {
            "known": True,
            "total": 31,
            "active": 7,
            "inactive": 24,
            "total_players": 42,
            "average_latency_ms": 21.5,
        },
        "system": {"postgres": "healthy", "redis": "healthy", "nats": "healthy", "services": {"host_registry": 2}},
        "signaling": {"active_connections": 42, "active_sessions": 7},
        "joins": {"begun": 60, "direct": 51, "relayed": 6, "failed": 3, "p50_ms": 180, "p95_ms": 900},
        "npc_feed": {
            "known": True,
            "last_reported_at": "2026-11-22T21:00:00Z",
            "outcome": "done",
            "detail": "3 zones",
            "totals": {"zones": 1, "npcs": 50, "stale": 0, "gaps": 1},
            "zones": [
                {
                    "zone_id": "prontera",
                    "interval_s": 5.0,
                    "seq": 1048577,
                    "told_at": "2026-11-22T21:00:00Z",
                    "npcs": 50,
                    "stale": False,
                    "heard_at": "2026-11-22T20:59:59Z",
                    "sources": {"nats": "2026-11-22T20:59:59Z"},
                    "gaps": 1,
                }
            ],
        },
        "jobs": {
            "known": True,
            "leader": "scheduler-1",
            "failing": [],
            "items": [
                {
                    "name": "session-health",
                    "next_due_at": "2026-11-22T21:00:30Z",
                    "last_finished_at": "2026-11-22T21:00:00Z",
                    "outcome": "done",
                    "duration_ms": 12.5,
                    "detail": "looked at 7 active sessions: 0 fell back, 0 failed, 0 returned",
                }
            ],
        },
    },
    "TraceTold": {
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "spans": [
            {
                "span_id": "00f067aa0ba902b7",
                "parent_id": None,
                "name": "POST /api/v1/sessions/join",
                "kind": "server",
                "service": "signaling_gateway",
                "instance": "gateway-1",
                "start": "2026-11-22T21:00:00Z",
                "end": "2026-11-22T21:00:00.021Z",
                "duration_ms": 21.0,
                "status": "ok",
                "reason": "",
                "attributes": {"http.response.status_code": 200},
            }
        ],
    },
}
"""Of what the gateway itself puts together; of the contracts' messages there are goldens."""

_FINDINGS = [{"loc": ["body", "host_id"], "msg": "Field required", "type": "missing"}]


def named(answer: Any) -> str | None:
    """The name under which the document has an example of such an answer; of a list `Host.list`."""
    item = get_args(answer)
    name = getattr(item[0] if item else answer, "__name__", "")
    return (f"{name}.list" if item else name) if _known(name) is not None else None


def components(names: Iterable[str]) -> dict[str, Any]:
    """The examples that the document refers to, by the names of `named` and of refusals."""
    return {name: {"value": _shown(name)} for name in sorted(names)}


def _shown(name: str) -> Any:
    if name in MEANINGS:
        return _refusal(Code(name))
    item = name.removesuffix(".list")
    return _known(name) if item == name else [_known(item)]


def _known(name: str) -> Any:
    if name in ANSWERS:
        return ANSWERS[name]
    model = catalogue.messages().get(name)
    return None if model is None else json.loads(catalogue.golden(model))


def _refusal(code: Code) -> Any:
    return {
        "detail": _FINDINGS if code is Code.INVALID else MEANINGS[code],
        "code": code.value,
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    }
