"""session_manager and host_registry as the tests want them: sessions in a dictionary, facts when told to tell."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from chassis.bus import Bus, connect_bus
from chassis.ids import new_event_id
from chassis.jetstream import publish
from chassis.refusals import ServiceError
from chassis.responder import Responder
from chassis.streams import declare_streams
from contracts.gateway import IceOutcome, PeerPresence
from contracts.hosts import (
    FIND_PEER_HOST,
    GET_HOST,
    HOST_DELETED,
    HOST_REGISTERED,
    Host,
    HostFact,
    NameHost,
    NamePeer,
    PeerHost,
)
from contracts.refusals import Code
from contracts.sessions import (
    COUNT_SESSIONS,
    ENTER_ZONE,
    GET_SESSION,
    JOIN_SESSION,
    LEAVE_SESSION,
    LIST_SESSIONS,
    EnterZone,
    JoinSession,
    LeaveSession,
    ListSessions,
    NameSession,
    Session,
    SessionCounts,
    SessionFact,
    SessionOutcome,
    SessionPage,
    SessionStatus,
    Standby,
)
from contracts.subjects import Nothing, Subject
from nats.aio.msg import Msg
from testkit.examples import empty_session, example

START = datetime(2026, 1, 1, tzinfo=UTC)


class NoSuchSessionError(ServiceError):
    code: ClassVar[Code] = Code.SESSION_NOT_FOUND


class NoSuchHostError(ServiceError):
    code: ClassVar[Code] = Code.HOST_NOT_FOUND


class NoSuchZoneError(ServiceError):
    code: ClassVar[Code] = Code.ZONE_NOT_FOUND


class FullError(ServiceError):
    code: ClassVar[Code] = Code.SESSION_FULL


def host(host_id: str, peer_id: str | None = None, **about: Any) -> Host:
    peer = peer_id or host_id
    return example(Host, host_id=host_id, peer_id=peer, current_players=0, accepts_probes=False, measured=True, **about)


class Owners:
    """Seats without rules but one: a session may be full."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self.sessions: dict[str, Session] = {}
        self.hosts: dict[str, Host] = {}
        self.joined_with_socket: list[str] = []
        self.seen: list[tuple[str, PeerPresence]] = []
        """What gateways announced of sockets, by the last token of its subject."""
        self.ice: list[IceOutcome] = []
        self.after_seating: asyncio.Event | None = None
        """Set by a test to hold the answers of joins back."""
        self._revision = 0

    @property
    def hears(self) -> bool:
        return self._bus.connected

    def add_host(self, host_id: str, peer_id: str | None = None, **about: Any) -> None:
        made = host(host_id, peer_id, **about)
        self.hosts[made.peer_id] = made

    def add_session(self, number: int, host_id: str, *, zone_id: str = "prontera", max_players: int = 50) -> str:
        session_id = f"session-{number:016x}"
        peer_id = next(peer for peer, made in self.hosts.items() if made.host_id == host_id)
        self.sessions[session_id] = empty_session(
            session_id,
            START,
            id=number,
            host_id=host_id,
            host_peer_id=peer_id,
            zone_id=zone_id,
            max_players=max_players,
            status=SessionStatus.PENDING,
        )
        return session_id

    async def tell(self, session_id: str, what: str, session: Session | None = None, **changes: Any) -> None:
        """Publish a fact of the session as it stands, or stood."""
        session = session or self.sessions[session_id]
        fact = SessionFact(
            event_id=new_event_id(),
            occurred_at=session.updated_at,
            revision=self._next(),
            session_id=session_id,
            session=session,
            host_players=session.current_players,
            host_revision=self._revision,
            **changes,
        )
        subject: Subject[SessionFact] = Subject(f"p2p.events.sessions.{{session_id}}.{what}", SessionFact)
        await publish(
            self._bus,
            subject.of(session_id=session_id),
            fact.model_dump_json().encode(),
            message_id=fact.event_id,
        )

    async def tell_registered(self, host_id: str) -> None:
        await self._tell_host(HOST_REGISTERED, host_id)

    async def tell_deleted(self, host_id: str) -> None:
        """Though its name may be another's already."""
        await self._tell_host(HOST_DELETED, host_id)

    async def _tell_host(self, what: Subject[HostFact], host_id: str) -> None:
        made = next(made for made in self.hosts.values() if made.host_id == host_id)
        fact = HostFact(event_id=new_event_id(), occurred_at=START, revision=self._next(), host_id=host_id, host=made)
        await publish(self._bus, what.of(host_id=host_id), fact.model_dump_json().encode(), message_id=fact.event_id)

    async def seat(self, session_id: str, player: str) -> Session:
        """As a join over REST: seat and fact, no socket."""
        session = await self._seat(session_id, player)
        await self.tell(session_id, "joined", players_joined=(player,))
        return session

    async def free(self, session_id: str, player: str, reason: str = "left") -> None:
        """As a leave over REST."""
        self._free(session_id, player)
        await self.tell(session_id, "left", players_left=(player,), reason=reason)

    async def end(self, session_id: str, reason: str = "normal") -> None:
        self._change(session_id, status=SessionStatus.ENDED, end_reason=reason, connected_players=())
        await self.tell(session_id, "ended", reason=reason)

    async def fall_back(
        self, session_id: str, reason: str = "host_lost", endpoint: str | None = "central:6900"
    ) -> None:
        """Its host serves it no longer, and no other does."""
        self._change(session_id, status=SessionStatus.FALLBACK, fallback_endpoint=endpoint)
        await self.tell(session_id, "fell-back", reason=reason)

    async def leave_host(self, session_id: str, reason: str = "host_lost") -> None:
        """Its host serves it no longer, and another is looked for."""
        self._change(session_id, status=SessionStatus.MIGRATING)
        await self.tell(session_id, "migrating", reason=reason)

    async def migrate(self, session_id: str, host_id: str, reason: str | None = "host_lost") -> None:
        """Another host serves it."""
        self.serve(session_id, host_id)
        await self.tell(session_id, "migrated", reason=reason)

    def serve(self, session_id: str, host_id: str) -> None:
        """As `migrate`, but the fact of it is yet to come."""
        self._change(
            session_id,
            status=SessionStatus.ACTIVE,
            fallback_endpoint=None,
            host_id=host_id,
            host_peer_id=next(peer for peer, made in self.hosts.items() if made.host_id == host_id),
            epoch=self.sessions[session_id].epoch + 1,
            standby=None,
        )

    async def stand_by(self, session_id: str, host_id: str | None, reason: str = "named") -> None:
        """This host stands by for it, or none does."""
        peer = next((peer for peer, made in self.hosts.items() if made.host_id == host_id), "")
        self._change(session_id, standby=None if host_id is None else Standby(host_id=host_id, host_peer_id=peer))
        await self.tell(session_id, "standby-changed", reason=reason)

    async def join(self, question: JoinSession) -> SessionOutcome:
        if question.socket:
            self.joined_with_socket.append(question.player_id)
        session_id = self._named(question.session).session_id
        session = await self._seat(session_id, question.player_id)
        if self.after_seating is not None:
            await self.after_seating.wait()
        return _outcome(session)

    async def enter(self, question: EnterZone) -> SessionOutcome:
        for session in self.sessions.values():
            if session.zone_id == question.zone_id:
                return _outcome(await self._seat(session.session_id, question.player_id))
        raise NoSuchZoneError(f"There is no zone {question.zone_id}.")

    async def leave(self, question: LeaveSession) -> SessionOutcome:
        session_id = self._named(question.session or "").session_id
        self._free(session_id, question.player_id)
        await self.tell(session_id, "left", players_left=(question.player_id,), reason="left")
        return _outcome(self.sessions[session_id])

    async def get(self, question: NameSession) -> Session:
        return self._named(question.session)

    async def list_sessions(self, question: ListSessions) -> SessionPage:
        return SessionPage(
            items=tuple(
                session
                for session in self.sessions.values()
                if session.status is not SessionStatus.ENDED
                and (session.host_id == question.host_id or _stands_by(session, question.standby_host_id))
            )
        )

    async def count(self, _: Nothing) -> SessionCounts:
        return SessionCounts(total=0, active=0, inactive=0, total_players=0, average_latency_ms=None)

    async def get_host(self, question: NameHost) -> Host:
        found = next((made for made in self.hosts.values() if made.host_id == question.host_id), None)
        if found is None:
            raise NoSuchHostError(f"There is no host {question.host_id}.")
        return found

    async def host_of(self, question: NamePeer) -> PeerHost:
        return PeerHost(host=self.hosts.get(question.peer_id))

    async def hear(self, msg: Msg) -> None:
        what = msg.subject.rpartition(".")[2]
        if what in {"connected", "entered", "disconnected"}:
            self.seen.append((what, PeerPresence.model_validate_json(msg.data)))
        elif what == "ice":
            self.ice.append(IceOutcome.model_validate_json(msg.data))

    def ice_of(self, peer_id: str) -> list[IceOutcome]:
        return [fact for fact in self.ice if fact.peer_id == peer_id]

    def announced(self, what: str, peer_id: str) -> list[PeerPresence]:
        return [fact for kind, fact in self.seen if kind == what and fact.peer_id == peer_id]

    async def _seat(self, session_id: str, player: str) -> Session:
        session = self.sessions[session_id]
        if player not in session.connected_players:
            if session.current_players >= session.max_players:
                raise FullError(f"Session {session_id} is full.")
            for other in list(self.sessions.values()):
                if player in other.connected_players:
                    self._free(other.session_id, player)
                    await self.tell(other.session_id, "left", players_left=(player,), reason="moved")
            self._change(
                session_id,
                connected_players=(*session.connected_players, player),
                status=SessionStatus.ACTIVE if session.status is SessionStatus.PENDING else session.status,
            )
        return self.sessions[session_id]

    def _free(self, session_id: str, player: str) -> None:
        left = tuple(other for other in self.sessions[session_id].connected_players if other != player)
        self._change(session_id, connected_players=left)

    def _change(self, session_id: str, **changes: Any) -> None:
        session = self.sessions[session_id]
        players = changes.get("connected_players", session.connected_players)
        now = START + timedelta(seconds=self._next())
        self.sessions[session_id] = session.model_copy(
            update={**changes, "current_players": len(players), "updated_at": now}
        )

    def _named(self, name: str) -> Session:
        for session in self.sessions.values():
            if name in {session.session_id, str(session.id)}:
                return session
        raise NoSuchSessionError(f"There is no session {name}.")

    def _next(self) -> int:
        self._revision += 1
        return self._revision


def _outcome(session: Session) -> SessionOutcome:
    return SessionOutcome(**session.model_dump(), message="Done.")


@asynccontextmanager
async def owning(nats_url: str) -> AsyncIterator[Owners]:
    """Answer for both services until the block ends."""
    async with connect_bus(nats_url, "owners") as bus:
        await declare_streams(bus)
        owners = Owners(bus)
        sessions = Responder(bus, "session_manager", "0.1.0", instance="sessions-1")
        sessions.answer(JOIN_SESSION, owners.join)
        sessions.answer(ENTER_ZONE, owners.enter)
        sessions.answer(LEAVE_SESSION, owners.leave)
        sessions.answer(GET_SESSION, owners.get)
        sessions.answer(LIST_SESSIONS, owners.list_sessions)
        sessions.answer(COUNT_SESSIONS, owners.count)
        hosts = Responder(bus, "host_registry", "0.1.0", instance="hosts-1")
        hosts.answer(FIND_PEER_HOST, owners.host_of)
        hosts.answer(GET_HOST, owners.get_host)
        async with sessions, hosts:
            await bus.subscribe("p2p.events.gateway.>", owners.hear)
            await bus.client.flush()
            yield owners


def _stands_by(session: Session, host_id: str | None) -> bool:
    return session.standby is not None and session.standby.host_id == host_id
