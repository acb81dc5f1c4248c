"""The one table of who may do what: a row for every REST route and every kind of frame, none without one.

In open mode nobody is asked for more than they show: what holds then is only that a token's peer is not another.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum

from contracts.access import AuditAction, Role

from signaling_gateway.access.identity import Identity


class Condition(Enum):
    """What must be so beside the role; the text says so to whom it isn't."""

    ALWAYS = ""
    OWN_HOST = "A host may only speak for itself: name the host and peer of its token."
    OWN_PEER = "A peer may only speak for itself: name the peer of its token."
    OWN_PEER_IF_ANY = "Name the peer of the token, or none."
    MEMBER = "Only its players and its host may do this to a session."
    HOSTS_IT = "Only its host may do this to a session."
    MAY_HOST_IT = "Only its host, and the one that stands by for it, may do this to a session."
    LOOPBACK = "Without a key this is for this machine alone."


ALWAYS, OWN_HOST, OWN_PEER, OWN_PEER_IF_ANY, MEMBER, HOSTS_IT, MAY_HOST_IT, LOOPBACK = Condition
OF_SESSIONS = frozenset({MEMBER, HOSTS_IT, MAY_HOST_IT})


@dataclass(frozen=True, slots=True)
class Permission:
    """Which roles may, and under which condition."""

    who: Mapping[Role, Condition]
    audited: AuditAction | None = None
    """Put on record when it was done."""
    asks_for_token: bool = False
    """A token that is sent along is what the route itself is about, or of no account; an API key counts."""

    def condition(self, role: Role, *, enforced: bool) -> Condition | None:
        """What must be so for this role; None when it may not at all."""
        if enforced:
            return self.who.get(role)
        return ALWAYS if role is Role.ANONYMOUS else self.who.get(role, ALWAYS)


_STAFF = {Role.SERVER: ALWAYS, Role.OPERATOR: ALWAYS}
_KNOWN = {Role.PLAYER: ALWAYS, Role.HOST: ALWAYS, **_STAFF}

_ANYBODY = Permission({Role.ANONYMOUS: ALWAYS, **_KNOWN})
_READING = Permission(_KNOWN)
_SERVING = Permission(_STAFF)
_OPERATING = Permission({Role.OPERATOR: ALWAYS})
_OF_HOST = Permission({Role.HOST: OWN_HOST, **_STAFF})
_OF_PEER = Permission({Role.PLAYER: OWN_PEER, **_STAFF})
_SIGNALING = Permission({Role.PLAYER: OWN_PEER, Role.HOST: OWN_PEER, **_STAFF})
_OF_ITS_HOST = Permission({Role.HOST: HOSTS_IT, **_STAFF})
_OF_ITS_HOSTS = Permission({Role.HOST: MAY_HOST_IT, **_STAFF})
_ASKING = Permission(_ANYBODY.who, asks_for_token=True)
_SCRAPING = Permission({Role.ANONYMOUS: LOOPBACK, **_STAFF})

ROUTES: Mapping[str, Permission] = {
    # what is open to everybody
    "GET /": _ANYBODY,
    "GET /.well-known/jwks.json": _ANYBODY,
    "GET /health": _ANYBODY,
    "GET /health/live": _ANYBODY,
    "GET /health/ready": _ANYBODY,
    "GET /metrics": _SCRAPING,
    "GET /api/v1/monitoring/dashboard": _ANYBODY,
    "GET /api/v1/monitoring/health": _ANYBODY,
    "GET /api/v1/monitoring/metrics": _SCRAPING,
    "GET /api/v1/monitoring/hosts/stats": _READING,
    # the console page
    "GET /api/v1/console": _OPERATING,
    "GET /api/v1/traces/{trace_id}": _OPERATING,
    # who one is
    "POST /api/v1/auth/token": _ASKING,
    "POST /api/v1/auth/login": _ASKING,
    "POST /api/v1/auth/refresh": _ASKING,
    "POST /api/v1/auth/keys": _OPERATING,
    "GET /api/v1/auth/keys": _OPERATING,
    "DELETE /api/v1/auth/keys/{key_id}": _OPERATING,
    "POST /api/v1/peers/{peer_id}/kick": _OPERATING,
    # hosts
    "POST /api/v1/hosts": _OF_HOST,
    "POST /api/v1/hosts/register": _OF_HOST,
    "GET /api/v1/hosts": _READING,
    "GET /api/v1/hosts/available/list": _READING,
    "GET /api/v1/hosts/available/best": _READING,
    "GET /api/v1/hosts/{host_id}": _READING,
    "GET /api/v1/hosts/{host_id}/standing": _SERVING,
    "PATCH /api/v1/hosts/{host_id}": _OF_HOST,
    "POST /api/v1/hosts/{host_id}/heartbeat": _OF_HOST,
    "POST /api/v1/hosts/{host_id}/drain": Permission(_OF_HOST.who, AuditAction.HOST_DRAINED),
    "DELETE /api/v1/hosts/{host_id}": Permission(_OF_HOST.who, AuditAction.HOST_DELETED),
    # zones
    "POST /api/v1/zones": _SERVING,
    "GET /api/v1/zones": _READING,
    "GET /api/v1/zones/p2p/enabled": _READING,
    "GET /api/v1/zones/{zone_id}": _READING,
    "PATCH /api/v1/zones/{zone_id}": _SERVING,
    "PATCH /api/v1/zones/{zone_id}/status": _SERVING,
    "POST /api/v1/zones/{zone_id}/enable-p2p": _SERVING,
    "POST /api/v1/zones/{zone_id}/disable-p2p": _SERVING,
    "GET /api/v1/zones/{zone_id}/explain": _SERVING,
    # sessions and who is in them
    "POST /api/v1/sessions": _SERVING,
    "GET /api/v1/sessions": _READING,
    "GET /api/v1/sessions/host/{host_id}/active": _READING,
    "GET /api/v1/sessions/zone/{zone_id}/active": _READING,
    "POST /api/v1/sessions/join": _OF_PEER,
    "POST /api/v1/sessions/leave": _OF_PEER,
    "POST /api/v1/sessions/cleanup": _OPERATING,
    "GET /api/v1/sessions/{session}": _READING,
    "POST /api/v1/sessions/{session}/activate": _OF_ITS_HOST,
    "POST /api/v1/sessions/{session}/end": Permission(_OF_ITS_HOST.who, AuditAction.SESSION_ENDED),
    "POST /api/v1/sessions/{session}/migrate": _OPERATING,
    "PATCH /api/v1/sessions/{session}/metrics": Permission({Role.PLAYER: MEMBER, Role.HOST: MEMBER, **_STAFF}),
    "POST /api/v1/sessions/{session}/players": _OF_PEER,
    "DELETE /api/v1/sessions/{session}/players/{player_id}": _OF_PEER,
    "GET /api/v1/sessions/{session}/events": _SERVING,
    "GET /api/v1/sessions/{session}/explain": _SERVING,
    "PUT /api/v1/sessions/{session}/checkpoint": _OF_ITS_HOST,
    "GET /api/v1/sessions/{session}/checkpoint": _OF_ITS_HOSTS,
    "GET /api/v1/peers/{zone_id}": _READING,
    # signaling without a WebSocket
    "POST /api/v1/signaling/offer": _SIGNALING,
    "POST /api/v1/signaling/answer": _SIGNALING,
    "POST /api/v1/signaling/ice-candidate": _SIGNALING,
    "GET /api/v1/signaling/offer/{session_id}": _SIGNALING,
    "GET /api/v1/signaling/answer/{session_id}": _SIGNALING,
    "GET /api/v1/signaling/ice-candidates/{session_id}": _SIGNALING,
    "GET /api/v1/signaling/ice-servers": Permission(
        {Role.PLAYER: OWN_PEER_IF_ANY, Role.HOST: OWN_PEER_IF_ANY, **_STAFF}
    ),
    "GET /api/v1/signaling/stats": _READING,
}

_PLAYERS = frozenset({Role.PLAYER})
_HOSTS = frozenset({Role.HOST})
_WARP = frozenset({Role.ANONYMOUS})
"""On a socket, who has no token is a WARP client that is let in without; it says little."""

FRAMES: Mapping[str, frozenset[Role]] = {
    "join": _PLAYERS | _HOSTS,
    "enter": _PLAYERS,
    "create_session": _PLAYERS | _WARP,
    "leave": _PLAYERS | _WARP,
    "offer": _PLAYERS | _HOSTS,
    "answer": _PLAYERS | _HOSTS,
    "ice-candidate": _PLAYERS | _HOSTS | _WARP,
    "ping": _PLAYERS | _HOSTS | _WARP,
    "ice-result": _PLAYERS | _HOSTS,
    "subscribe": _PLAYERS | _HOSTS,
    "npc-event": _HOSTS,
    "probe-answer": _HOSTS,
}


class WithoutPermissionError(Exception):
    """A route or a kind of frame that the table has no row for; nothing is served before it has one."""


def permission_of(kind: str) -> Permission:
    """The row of a route, by its method and path."""
    try:
        return ROUTES[kind]
    except KeyError:
        raise WithoutPermissionError(f"{kind} has no row in access/permissions.py") from None


def frames_of(role: Role, kinds: Collection[str], *, enforced: bool) -> frozenset[str]:
    """The kinds of frames that somebody may send; each of `kinds` must have a row."""
    if missing := [kind for kind in kinds if kind not in FRAMES]:
        raise WithoutPermissionError(f"{', '.join(missing)}: no row in access/permissions.py")
    return frozenset(kind for kind in kinds if not enforced or role in FRAMES[kind])


def is_own(condition: Condition, identity: Identity, named: Mapping[str, str | None]) -> bool:
    """Whether what a request names is whose it is; `named` has its `host_id`, `peer_id` and `player_id`, if any."""
    match condition:
        case Condition.OWN_HOST:
            peer = named.get("peer_id")
            return named.get("host_id") == identity.host_id is not None and peer in {None, identity.peer_id}
        case Condition.OWN_PEER:
            return _peer(named) == identity.peer_id is not None
        case Condition.OWN_PEER_IF_ANY:
            return _peer(named) in {None, identity.peer_id}
        case _:
            return True


def _peer(named: Mapping[str, str | None]) -> str | None:
    return named.get("player_id") or named.get("peer_id")


def stands_in(
    condition: Condition, identity: Identity, host_id: str, players: Collection[str], standby: str | None = None
) -> bool:
    """Whether somebody is to a session what the condition says."""
    if condition is MAY_HOST_IT and standby is not None and identity.host_id == standby:
        return True
    if condition is MEMBER and identity.peer_id in players:
        return True
    return identity.host_id is not None and identity.host_id == host_id
