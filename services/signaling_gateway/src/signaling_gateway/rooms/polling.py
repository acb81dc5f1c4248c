"""Signals of peers without a WebSocket: kept for who asks for them, and handed at once to who has a socket."""

from dataclasses import dataclass

from chassis.bus import Bus
from chassis.refusals import RefusedError, ServiceError
from chassis.requests import call
from contracts.refusals import Code
from contracts.sessions import GET_SESSION, NameSession

from signaling_gateway.cluster.mailbox import Candidate, Letter, Mailbox
from signaling_gateway.cluster.presence import Presence
from signaling_gateway.peers.conversation import may_be_session
from signaling_gateway.peers.frames import signal_out
from signaling_gateway.rooms.hosting import FINAL
from signaling_gateway.rooms.relay import Relay


class NotAMemberError(ServiceError):
    code = Code.FORBIDDEN


class NobodyThereError(ServiceError):
    code = Code.PEER_NOT_FOUND


class NoSessionError(ServiceError):
    code = Code.SESSION_NOT_FOUND


class NoOfferError(ServiceError):
    code = Code.OFFER_NOT_FOUND


class NoAnswerError(ServiceError):
    code = Code.ANSWER_NOT_FOUND


NOTHING_KEPT = {"offer": NoOfferError, "answer": NoAnswerError}


@dataclass(frozen=True, slots=True)
class Circle:
    """Who may signal one another."""

    session_id: str
    players: frozenset[str]
    host_id: str | None = None
    host_peer_id: str | None = None

    def peer(self, name: str) -> str | None:
        """The member of this name; a host answers to its `host_id` too."""
        if name == self.host_id:
            return self.host_peer_id
        return name if name == self.host_peer_id or name in self.players else None


class Polling:
    """Between members of one session or room."""

    def __init__(self, bus: Bus, presence: Presence, relay: Relay, mailbox: Mailbox) -> None:
        self._bus = bus
        self._presence = presence
        self._relay = relay
        self._mailbox = mailbox

    async def send(self, kind: str, session_id: str, letter: Letter) -> bool:
        """Keep a signal and hand it over; whether the receiver has a socket. To nobody in particular: to the host."""
        circle = await self._circle(session_id)
        sender = _member(circle, letter.sender)
        to = circle.host_peer_id if letter.to is None else circle.peer(letter.to)
        if letter.to is not None and to is None:
            raise NobodyThereError(f"{letter.to} is not in session {circle.session_id}.")
        kept = Letter(sender, to if letter.to is not None else None, letter.content)
        await self._mailbox.read_by(circle.session_id, sender)
        await self._mailbox.put(kind, circle.session_id, kept)
        if to is None or to == sender:
            return False
        return await self._hand_over(kind, circle, kept, to)

    async def newest(self, kind: str, session_id: str, reader: str | None) -> Letter:
        """The newest offer or answer that the reader may have."""
        circle, reader = await self._reading(session_id, reader)
        letter = await self._mailbox.newest(kind, circle.session_id, reader)
        if letter is None:
            raise NOTHING_KEPT[kind](f"No {kind} is waiting in session {circle.session_id}.")
        return letter

    async def candidates(self, session_id: str, reader: str | None, after: str) -> list[Candidate]:
        """The candidates that the reader may have, since the one it had last."""
        circle, reader = await self._reading(session_id, reader)
        return await self._mailbox.candidates(circle.session_id, reader, after)

    async def member(self, session_id: str, peer: str) -> Circle:
        """The session's circle, in which the peer must be."""
        circle = await self._circle(session_id)
        _member(circle, peer)
        return circle

    async def _reading(self, session_id: str, reader: str | None) -> tuple[Circle, str | None]:
        circle = await self._circle(session_id)
        if reader is None:
            return circle, None
        member = _member(circle, reader)
        await self._mailbox.read_by(circle.session_id, member)
        return circle, member

    async def _circle(self, session_id: str) -> Circle:
        if may_be_session(session_id):
            try:
                session = await call(self._bus, GET_SESSION, NameSession(session=session_id))
            except RefusedError as error:
                if error.refusal.code is not Code.SESSION_NOT_FOUND:
                    raise
            else:
                if session.status in FINAL:
                    raise NoSessionError(f"Session {session.session_id} is over.")
                players = frozenset(session.connected_players)
                return Circle(session.session_id, players, session.host_id, session.host_peer_id)
        listing = await self._presence.look(session_id)
        if not listing.players:
            raise NoSessionError(f"There is no session {session_id}.")
        return Circle(session_id, frozenset(listing.players))

    async def _hand_over(self, kind: str, circle: Circle, letter: Letter, to: str) -> bool:
        holder = await self._presence.where(to)
        if holder is None:
            return False
        session_id = circle.session_id
        named = session_id if circle.host_peer_id in {to, letter.sender} else None
        frame = signal_out(kind, letter.sender, letter.content, session_id=named)
        if holder.gateway_id != self._presence.gateway_id:
            socket = self._relay.socket_of(letter.sender)
            await self._relay.send(holder.gateway_id, frame, kind=kind, socket=socket, to=to, session_id=session_id)
            return True
        return self._relay.hand_over(to, session_id, frame)


def _member(circle: Circle, name: str) -> str:
    member = circle.peer(name)
    if member is None:
        raise NotAMemberError(f"{name} is not in session {circle.session_id}.")
    return member
