"""Every REST call that is a request to an owner: what is sent, and what the owner is to be asked."""

from dataclasses import dataclass
from typing import Any

from contracts import hosts, sessions, zones
from contracts.subjects import Rpc


@dataclass(frozen=True)
class Call:
    method: str
    path: str
    rpc: Rpc[Any, Any]
    question: dict[str, Any]
    body: Any = None
    status: int = 200
    listed: bool = False
    """Answered with an array: the page's items."""
    reshaped: bool = False
    """Answered with something made of the owner's answer."""

    @property
    def id(self) -> str:
        return f"{self.method} {self.path}"


HOST = {
    "host_id": "host-12345",
    "player_id": "player-67890",
    "player_name": "PlayerOne",
    "cpu_cores": 8,
    "memory_mb": 16384,
    "network_speed_mbps": 1000,
}
BEAT = {"latency_ms": 12.5, "current_players": 3}
ZONE = {"zone_id": "prontera", "zone_name": "prontera", "zone_display_name": "Prontera", "map_name": "prontera"}
SESSION = {"host_id": "host-12345", "zone_id": "prontera", "max_players": 50}
METRICS = {"average_latency_ms": 20.5, "packet_loss_percent": 0.1}

CALLS = [
    Call("POST", "/hosts", hosts.REGISTER_HOST, HOST, HOST, status=201),
    Call("POST", "/hosts/register", hosts.REGISTER_HOST, HOST, HOST, status=201),
    Call("GET", "/hosts", hosts.LIST_HOSTS, {}, listed=True),
    Call(
        "GET",
        "/hosts?status=online&min_quality_score=70&region=eu&limit=5",
        hosts.LIST_HOSTS,
        {"status": "online", "min_quality_score": 70, "region": "eu", "limit": 5},
        listed=True,
    ),
    Call("GET", "/hosts?status_filter=busy", hosts.LIST_HOSTS, {"status": "busy"}, listed=True),
    Call("GET", "/hosts/available/list", hosts.LIST_HOSTS, {"available": True}, listed=True),
    Call(
        "GET",
        "/hosts/available/list?min_quality_score=50&zone_id=prontera&limit=500",
        zones.RANK_HOSTS,
        {"zone_id": "prontera", "min_quality_score": 50, "limit": 64},
        listed=True,
    ),
    Call(
        "GET", "/hosts/available/best", hosts.LIST_HOSTS, {"available": True, "limit": 1, "cursor": None}, reshaped=True
    ),
    Call(
        "GET",
        "/hosts/available/best?zone_id=prontera",
        zones.RANK_HOSTS,
        {"zone_id": "prontera", "min_quality_score": None, "limit": 1},
        reshaped=True,
    ),
    Call("GET", "/hosts/host-12345", hosts.GET_HOST, {"host_id": "host-12345"}),
    Call("GET", "/hosts/list", hosts.GET_HOST, {"host_id": "list"}),
    Call("GET", "/hosts/available", hosts.GET_HOST, {"host_id": "available"}),
    Call("GET", "/hosts/j%C3%B6rg%401.tower%20east", hosts.GET_HOST, {"host_id": "jörg@1.tower east"}),
    Call("GET", "/hosts/a%252Fb", hosts.GET_HOST, {"host_id": "a%2Fb"}),
    Call(
        "PATCH", "/hosts/h", hosts.CHANGE_HOST, {"host_id": "h", "region": None}, {"region": None, "host_id": "another"}
    ),
    Call("PATCH", "/hosts/h", hosts.CHANGE_HOST, {"host_id": "h"}),
    Call("POST", "/hosts/h/heartbeat", hosts.BEAT_HOST, {"host_id": "h", **BEAT}, BEAT),
    Call("POST", "/hosts/h/heartbeat", hosts.BEAT_HOST, {"host_id": "h"}),
    Call("POST", "/hosts/h/drain", hosts.DRAIN_HOST, {"host_id": "h"}),
    Call("DELETE", "/hosts/h", hosts.DELETE_HOST, {"host_id": "h"}, status=204, reshaped=True),
    Call("POST", "/zones", zones.PUT_ZONE, ZONE, ZONE, status=201),
    Call("GET", "/zones", zones.LIST_ZONES, {}, listed=True),
    Call(
        "GET",
        "/zones?status_filter=disabled&p2p_enabled=false",
        zones.LIST_ZONES,
        {"status": "disabled", "p2p_enabled": False},
        listed=True,
    ),
    Call("GET", "/zones/p2p/enabled", zones.LIST_ZONES, {"p2p_enabled": True}, listed=True),
    Call("GET", "/zones/prontera", zones.GET_ZONE, {"zone_id": "prontera"}),
    Call("PATCH", "/zones/prontera", zones.CHANGE_ZONE, {"zone_id": "prontera", "max_players": 7}, {"max_players": 7}),
    Call(
        "PATCH",
        "/zones/prontera/status?new_status=disabled",
        zones.SET_ZONE_STATUS,
        {"zone_id": "prontera", "status": "disabled"},
    ),
    Call(
        "PATCH",
        "/zones/prontera/status",
        zones.SET_ZONE_STATUS,
        {"zone_id": "prontera", "status": "enabled"},
        {"status": "enabled"},
    ),
    Call("POST", "/zones/prontera/enable-p2p", zones.SET_ZONE_P2P, {"zone_id": "prontera", "p2p_enabled": True}),
    Call("POST", "/zones/prontera/disable-p2p", zones.SET_ZONE_P2P, {"zone_id": "prontera", "p2p_enabled": False}),
    Call("GET", "/zones/prontera/explain", zones.EXPLAIN_ZONE, {"zone_id": "prontera"}),
    Call(
        "GET", "/zones/prontera/explain?players=a,b", zones.EXPLAIN_ZONE, {"zone_id": "prontera", "players": ["a", "b"]}
    ),
    Call(
        "GET",
        "/zones/prontera/explain?players=a&players=b,c",
        zones.EXPLAIN_ZONE,
        {"zone_id": "prontera", "players": ["a", "b,c"]},
    ),
    Call("POST", "/sessions", sessions.CREATE_SESSION, SESSION, SESSION, status=201),
    Call("GET", "/sessions", sessions.LIST_SESSIONS, {}, listed=True),
    Call(
        "GET",
        "/sessions?status=paused&zone_id=z&host_id=h&player_id=p&live=true",
        sessions.LIST_SESSIONS,
        {"status": "paused", "zone_id": "z", "host_id": "h", "player_id": "p"},
        listed=True,
    ),
    Call("GET", "/sessions/host/h/active", sessions.LIST_SESSIONS, {"host_id": "h", "live": True}, listed=True),
    Call("GET", "/sessions/zone/z/active", sessions.LIST_SESSIONS, {"zone_id": "z", "live": True}, listed=True),
    Call("GET", "/sessions/17", sessions.GET_SESSION, {"session": "17"}),
    Call("GET", "/sessions/session-0123456789abcdef", sessions.GET_SESSION, {"session": "session-0123456789abcdef"}),
    Call("POST", "/sessions/17/activate", sessions.ACTIVATE_SESSION, {"session": "17"}),
    Call(
        "POST", "/sessions/17/end?reason=maintenance", sessions.END_SESSION, {"session": "17", "reason": "maintenance"}
    ),
    Call("POST", "/sessions/17/end", sessions.END_SESSION, {"session": "17"}),
    Call("POST", "/sessions/17/migrate", sessions.MIGRATE_SESSION, {"session": "17"}),
    Call("POST", "/sessions/17/migrate", sessions.MIGRATE_SESSION, {"session": "17", "host_id": "h"}, {"host_id": "h"}),
    Call("PATCH", "/sessions/17/metrics", sessions.REPORT_METRICS, {"session": "17", **METRICS}, METRICS),
    Call(
        "PATCH",
        "/sessions/17/metrics",
        sessions.REPORT_METRICS,
        {"session": "17", "average_latency_ms": 9.5},
        {"avg_latency_ms": 9.5},
    ),
    Call(
        "POST",
        "/sessions/17/players",
        sessions.JOIN_SESSION,
        {"session": "17", "player_id": "p"},
        {"player_id": "p", "socket": True},
    ),
    Call("DELETE", "/sessions/17/players/1%40tower", sessions.LEAVE_SESSION, {"session": "17", "player_id": "1@tower"}),
    Call("POST", "/sessions/cleanup?timeout_minutes=45", sessions.CLEAN_SESSIONS, {"timeout_minutes": 45}),
    Call("POST", "/sessions/cleanup", sessions.CLEAN_SESSIONS, {}),
    Call("GET", "/sessions/17/explain", sessions.EXPLAIN_SESSION, {"session": "17"}),
    Call(
        "GET", "/sessions/17/events?limit=3", sessions.LIST_SESSION_EVENTS, {"session": "17", "limit": 3}, listed=True
    ),
    Call(
        "POST",
        "/sessions/join",
        sessions.ENTER_ZONE,
        {"zone_id": "prontera", "player_id": "150001", "user_id": "u"},
        {"zone_id": "prontera", "peer_id": "150001", "user_id": "u"},
        reshaped=True,
    ),
    Call(
        "POST",
        "/sessions/leave",
        sessions.LEAVE_SESSION,
        {"player_id": "150001", "session": None},
        {"peer_id": "150001"},
    ),
    Call(
        "POST",
        "/sessions/leave",
        sessions.LEAVE_SESSION,
        {"player_id": "p", "session": "17"},
        {"peer_id": "p", "session_id": "17"},
    ),
    Call(
        "GET",
        "/peers/prontera",
        sessions.LIST_SESSIONS,
        {"zone_id": "prontera", "live": True, "limit": 1000},
        reshaped=True,
    ),
]

ASKED_ELSEWHERE = {
    "p2p.hosts.find": "zone_manager, to place",
    "p2p.hosts.reserve": "zone_manager, to place",
    "p2p.hosts.release": "zone_manager and session_manager, when a session does not come about",
    "p2p.hosts.of_peer": "the gateway itself, when a socket says its name",
    "p2p.hosts.count": "the gateway itself, for the dashboard",
    "p2p.zones.place": "session_manager, for a new session",
    "p2p.zones.count": "the gateway itself, for the dashboard",
    "p2p.sessions.count": "the gateway itself, for the dashboard",
    "p2p.sessions.keep_checkpoint": "the gateway itself, when a body is stored: test_checkpoints.py",
    "p2p.sessions.checkpoint": "the gateway itself, which answers with the bytes: test_checkpoints.py",
    "p2p.hosts.retell": "p2p refill",
    "p2p.zones.retell": "p2p refill",
    "p2p.sessions.retell": "p2p refill",
}
"""Requests without a route of their own, and who makes them."""
