"""Sessions and the players in them: `/sessions`, and `/peers` for who is in a zone."""

from collections.abc import Callable
from http import HTTPStatus

import orjson
from chassis.bus import Bus
from contracts.frames import IceServer
from contracts.identifiers import Identifier
from contracts.sessions import (
    ACTIVATE_SESSION,
    CLEAN_SESSIONS,
    CREATE_SESSION,
    END_SESSION,
    ENTER_ZONE,
    EXPLAIN_SESSION,
    GET_SESSION,
    JOIN_SESSION,
    LEAVE_SESSION,
    LIST_SESSION_EVENTS,
    LIST_SESSIONS,
    MIGRATE_SESSION,
    REPORT_METRICS,
    EnterZone,
    LeaveSession,
    ListSessions,
    Session,
    SessionEvent,
    SessionOutcome,
    SessionRef,
)
from contracts.subjects import Message
from contracts.values import Text
from pydantic import Field

from signaling_gateway.access.identity import Identity
from signaling_gateway.http.framework import examples
from signaling_gateway.http.framework.asking import ask
from signaling_gateway.http.framework.exchange import Answer, Request
from signaling_gateway.http.framework.listing import listed
from signaling_gateway.http.framework.reading import Reading
from signaling_gateway.http.framework.resource import Resource
from signaling_gateway.http.framework.routing import Route
from signaling_gateway.rooms.ice_servers import IceServers

MOST_SESSIONS = 1000
"""As far as one request looks for a zone's players."""


class Enter(Message):
    """Take a seat in a session of the zone, whichever has room; a new one where none has."""

    zone_id: Identifier
    peer_id: Identifier
    user_id: Text | None = None


class Entered(Message):
    """The session, its host, and who is there already: all that is needed to connect."""

    session_id: str
    host_id: str
    host_peer_id: str
    """Whom to send the offer to."""
    epoch: int
    peers: tuple[str, ...]
    """The other players."""
    ice_servers: tuple[IceServer, ...]
    ticket: str | None = Field(description="Opens a signaling socket in this session, within 60 s; null in open mode.")


class Exit(Message):
    """Give a seat up."""

    peer_id: Identifier
    session_id: SessionRef | None = None
    """Absent: whichever session the peer is in."""


class ZonePeers(Message):
    """Who plays in a zone now."""

    zone_id: str
    peers: tuple[str, ...]
    count: int


TicketFor = Callable[[str, str, Identity], str | None]
"""From a peer, a session and who asks; None while nobody is asked who they are."""


def session_routes(bus: Bus, ice_servers: IceServers, ticket_for: TicketFor) -> list[Route]:
    """Every route under `/sessions`, and `/peers/{zone_id}`."""
    sessions = Resource(bus, "sessions")
    one = "/sessions/{session}"
    return [
        sessions.route(
            "POST",
            "/sessions",
            CREATE_SESSION,
            status=HTTPStatus.CREATED,
            examples=examples.CREATE,
            summary="Start a session",
            description="Always a new one. Without `host_id` the coordinator places it.",
        ),
        sessions.pages(
            "/sessions",
            LIST_SESSIONS,
            answer=list[Session],
            aliases={"status_filter": "status"},
            hidden=("live",),
            summary="List sessions, newest first",
        ),
        _live(sessions, "/sessions/host/{host_id}/active", "List the live sessions of a host"),
        _live(sessions, "/sessions/zone/{zone_id}/active", "List the live sessions of a zone"),
        _enter(bus, sessions, ice_servers, ticket_for),
        _leave(bus, sessions),
        sessions.route(
            "POST",
            "/sessions/cleanup",
            CLEAN_SESSIONS,
            query=("timeout_minutes",),
            examples=examples.CLEANUP,
            summary="End sessions without activity",
        ),
        sessions.route("GET", one, GET_SESSION, summary="Show a session, by either of its ids"),
        sessions.route("POST", f"{one}/activate", ACTIVATE_SESSION, summary="Activate a pending session"),
        sessions.route(
            "POST",
            f"{one}/end",
            END_SESSION,
            query=("reason",),
            examples=examples.END,
            summary="End a session and free its seats",
        ),
        sessions.route(
            "POST",
            f"{one}/migrate",
            MIGRATE_SESSION,
            examples=examples.MIGRATE,
            summary="Give a session to another host",
            description="To `host_id`, or placed by the coordinator; where none fits it stays where it is.",
        ),
        sessions.route(
            "PATCH",
            f"{one}/metrics",
            REPORT_METRICS,
            aliases={"avg_latency_ms": "average_latency_ms"},
            examples=examples.METRICS,
            summary="Report what players measured",
        ),
        sessions.route(
            "POST", f"{one}/players", JOIN_SESSION, hidden=("socket",), examples=examples.SEAT, summary="Seat a player"
        ),
        sessions.route("DELETE", f"{one}/players/{{player_id}}", LEAVE_SESSION, summary="Free a player's seat"),
        sessions.pages(
            f"{one}/events", LIST_SESSION_EVENTS, answer=list[SessionEvent], summary="Tell a session's history"
        ),
        sessions.route(
            "GET",
            f"{one}/explain",
            EXPLAIN_SESSION,
            summary="Say why a session is where it is",
            description="Each host it was given, with how that one and the runners-up were judged; and why it left.",
        ),
        _peers(bus),
    ]


def _live(sessions: Resource, path: str, summary: str) -> Route:
    hidden = {"status", "zone_id", "host_id", "player_id"} - {name for name in ("zone_id", "host_id") if name in path}
    return sessions.pages(
        path, LIST_SESSIONS, answer=list[Session], fixed={"live": True}, hidden=hidden, summary=summary
    )


def _enter(bus: Bus, sessions: Resource, ice_servers: IceServers, ticket_for: TicketFor) -> Route:
    reading = Reading("POST", "/sessions/join", Enter, aliases={"player_id": "peer_id"})

    async def enter(request: Request) -> Answer:
        asked = reading.read(request)
        wish = EnterZone(zone_id=asked.zone_id, player_id=asked.peer_id, user_id=asked.user_id)
        session = SessionOutcome.model_validate_json(await ask(bus, ENTER_ZONE, wish, request))
        await ice_servers.learn(session.host_id)
        entered = Entered(
            session_id=session.session_id,
            host_id=session.host_id,
            host_peer_id=session.host_peer_id,
            epoch=session.epoch,
            peers=tuple(player for player in session.connected_players if player != asked.peer_id),
            ice_servers=ice_servers.of(asked.peer_id, session.session_id, session.host_id),
            ticket=ticket_for(asked.peer_id, session.session_id, request.admission.identity),
        )
        return Answer(entered.model_dump_json().encode())

    return sessions.answered(
        reading,
        enter,
        ENTER_ZONE,
        answer=Entered,
        keyed=True,
        examples=examples.ENTER,
        summary="Enter a zone: find a session or start one",
    )


def _leave(bus: Bus, sessions: Resource) -> Route:
    reading = Reading("POST", "/sessions/leave", Exit, aliases={"player_id": "peer_id"})

    async def leave(request: Request) -> Answer:
        asked = reading.read(request)
        wish = LeaveSession(player_id=asked.peer_id, session=asked.session_id)
        return Answer(await ask(bus, LEAVE_SESSION, wish, request))

    return sessions.answered(
        reading, leave, LEAVE_SESSION, examples=examples.LEAVE, summary="Leave the session one is in"
    )


def _peers(bus: Bus) -> Route:
    signaling = Resource(bus, "signaling")
    reading = Reading(
        "GET",
        "/peers/{zone_id}",
        ListSessions,
        fixed={"live": True, "limit": MOST_SESSIONS},
        hidden=("status", "host_id", "player_id", "cursor"),
    )

    async def peers(request: Request) -> Answer:
        asked = reading.read(request)
        sessions = orjson.loads((await listed(bus, LIST_SESSIONS, asked, request)).body)
        there = tuple(player for session in sessions for player in session["connected_players"])
        found = ZonePeers(zone_id=asked.zone_id or "", peers=there, count=len(there))
        return Answer(found.model_dump_json().encode())

    return signaling.answered(reading, peers, LIST_SESSIONS, answer=ZonePeers, summary="List who plays in a zone")
