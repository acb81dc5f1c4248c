"""Taking signals to their receivers: by a look-up when they are here, through NATS to the gateway that holds them.

Nothing is remembered of a signal on its way. It carries a reply subject of ours, on which comes a word only if nobody
got it: from the other gateway, or from NATS itself ("no responders") when that gateway is gone.
"""

import asyncio
import time
from dataclasses import replace
from functools import lru_cache

import structlog
from chassis import tracing
from chassis.bus import Bus
from chassis.refusals import UnavailableError
from contracts.frames import ErrorFrame
from contracts.gateway import BOUNCE, DELIVER
from contracts.identifiers import to_token
from contracts.refusals import Code

from signaling_gateway.background import Background
from signaling_gateway.cluster.mailbox import Letter, Mailbox
from signaling_gateway.cluster.presence import Mark, Presence
from signaling_gateway.peers.connections import Connection, Connections
from signaling_gateway.peers.conversation import Carry, UndeliveredError
from signaling_gateway.peers.frames import signal_out
from signaling_gateway.rooms.room import Room
from signaling_gateway.rooms.rooms import Rooms
from signaling_gateway.rooms.unanswered import Unanswered

log = structlog.stdlib.get_logger()

LOOK_AGAIN_AFTER_S = 1.0
"""How often at most Redis is asked who is in a room because somebody signals a peer that we do not know."""

NO_SOCKET = 0
"""No socket has this number."""

NO_ID = "-"
ID = "i"
"""Before a frame's `id`, which may be empty: what NATS takes no token for."""

SUBJECTS_KEPT = 65_536
"""Making and reading the subjects of a signal takes a third of its way through a gateway; the same ones come again."""


class Relay:
    """Signals between members of one session or room."""

    def __init__(
        self,
        *,
        bus: Bus,
        gateway_id: str,
        connections: Connections,
        rooms: Rooms,
        presence: Presence,
        mailbox: Mailbox,
        background: Background,
        unanswered: Unanswered,
    ) -> None:
        self._bus = bus
        self._gateway_id = gateway_id
        self._connections = connections
        self._rooms = rooms
        self._presence = presence
        self._mailbox = mailbox
        self._background = background
        self._unanswered = unanswered
        self.relayed = 0
        self._looks: dict[str, asyncio.Task[None]] = {}

    async def carry(self, sender: Connection, carry: Carry) -> None:
        """Deliver, or UndeliveredError; one that another gateway can't deliver comes back later, as a bounce."""
        room = self._rooms.get(carry.place.session_id)
        if room is None:
            raise UndeliveredError(carry.signal.type, carry.signal.to)
        carry = _to_standby(carry, room)
        if carry.signal.type == "offer" and carry.to == carry.place.host_peer_id:
            self._unanswered.offered(sender.peer_id, carry.place.session_id, carry.to, sender.seat)
        receiver = room.receiver(carry.to) or await self._look_again(room, carry.to)
        self.relayed += 1
        if receiver is None:
            await self._keep(sender, carry, room)
            return
        signal = carry.signal
        frame = signal_out(
            signal.type,
            sender.peer_id,
            signal.content,
            session_id=carry.place.session_id if carry.named else None,
            traceparent=tracing.current_traceparent() if tracing.recording() else None,
            ufrag=signal.ufrag,
        )
        if isinstance(receiver, Connection):
            self._write(receiver, frame)
        else:
            await self.send(
                receiver.gateway_id,
                frame,
                kind=signal.type,
                socket=sender.number,
                to=carry.to,
                session_id=carry.place.session_id,
                frame_id=signal.id,
            )

    async def send(
        self,
        gateway_id: str,
        frame: bytes,
        *,
        kind: str,
        socket: int,
        to: str,
        session_id: str,
        frame_id: str | None = None,
    ) -> None:
        """Hand a frame to the gateway that holds the receiver; `socket` here is told if nobody got it."""
        if not self._bus.connected:  # nats-py would keep it, and deliver it when nobody waits for it any more
            raise UndeliveredError(kind, to, Code.UNAVAILABLE)
        try:
            subject = _deliver(gateway_id, to, session_id)
            bounce = _bounce(self._gateway_id, socket, kind, to)
            if frame_id is not None:
                bounce = f"{bounce.removesuffix(NO_ID)}{ID}{to_token(frame_id)}"
            if not tracing.recording():
                await self._bus.send(subject, frame, bounce, None)
                return
            with tracing.span("publish p2p.gateway.deliver", tracing.SpanKind.PRODUCER):
                headers: dict[str, str] = {}
                tracing.inject(headers)
                await self._bus.send(subject, frame, bounce, headers)
        except UnavailableError as error:
            raise UndeliveredError(kind, to, Code.UNAVAILABLE) from error

    def socket_of(self, peer_id: str) -> int:
        """The number of a peer's socket here, for who signals over HTTP."""
        connection = self._connections.of(peer_id)
        return connection.number if connection is not None else NO_SOCKET

    def hand_over(self, peer_id: str, session_id: str, frame: bytes) -> bool:
        """Give a signal to the peer's socket here, if it is in this session or hosts it; else False."""
        room = self._rooms.get(session_id)
        if room is None:
            return False
        receiver = room.sockets.get(peer_id)
        if receiver is None and room.host is not None and room.host.peer_id == peer_id:
            receiver = room.host
        if receiver is None and room.standby_socket is not None and room.standby_socket.peer_id == peer_id:
            receiver = room.standby_socket
        if receiver is None:
            return False
        self._write(receiver, frame)
        return True

    def stands_by(self, session_id: str, to: str) -> bool:
        """Whether this is the host that stands by for the session."""
        room = self._rooms.get(session_id)
        return room is not None and room.standby is not None and to in {room.standby.host_id, room.standby.host_peer_id}

    def bounced(self, socket: int, kind: str, to: str, frame_id: str | None) -> None:
        """Nobody got a signal: its sender is told, and what we thought of where the receiver is, is looked up again."""
        connection = self._connections.numbered(socket)
        if connection is None:
            return
        refusal = UndeliveredError(kind, to).refusal
        connection.say(ErrorFrame(message=refusal.detail, code=refusal.code, in_reply_to=kind, id=frame_id))
        standing = connection.standing
        for place in (standing.place, *standing.hosted.values(), *standing.stands_by.values()):
            room = self._rooms.get(place.session_id) if place is not None else None
            if room is not None and isinstance(room.receiver(to), Mark):
                if room.receiver(to) is room.standby_mark:
                    room.standby_mark = None
                self._background.send(self._look_again(room, to))

    def _write(self, receiver: Connection, frame: bytes) -> None:
        self._unanswered.received(receiver.peer_id, frame)
        receiver.wire.write(frame)

    async def _look_again(self, room: Room, to: str) -> Connection | Mark | None:
        """Ask Redis, or wait for the answer that somebody else's signal has asked for."""
        look = self._looks.get(room.place.session_id)
        if look is None:
            now = time.monotonic()
            if now - room.looked_at < LOOK_AGAIN_AFTER_S:
                return None
            room.looked_at = now
            look = self._looks[room.place.session_id] = asyncio.create_task(self._look(room))
        await asyncio.shield(look)
        return room.receiver(to)

    async def _look(self, room: Room) -> None:
        try:
            as_of = room.changes
            self._rooms.reconcile(room, await self._presence.look(room.place.session_id), as_of)
            host = room.place.host_peer_id
            if host is not None and room.receiver(host) is None:
                # Its gateway may not have heard of the session yet: it will ask.
                room.move_host(await self._presence.where(host))
            if room.standby is not None and room.receiver(room.standby.host_peer_id) is None:
                room.standby_mark = await self._presence.where(room.standby.host_peer_id)
        except UnavailableError:
            log.debug("relay.not_looked", session_id=room.place.session_id)
        finally:
            del self._looks[room.place.session_id]

    async def _keep(self, sender: Connection, carry: Carry, room: Room) -> None:
        """Keep the signal for a member that has no socket and signals over HTTP; else nobody gets it."""
        signal = carry.signal
        session_id = carry.place.session_id
        try:
            if carry.to in room.members or await self._mailbox.is_read_by(session_id, carry.to):
                await self._mailbox.put(signal.type, session_id, Letter(sender.peer_id, carry.to, signal.content))
                return
        except UnavailableError as error:
            raise UndeliveredError(signal.type, signal.to, Code.UNAVAILABLE) from error
        raise UndeliveredError(signal.type, signal.to)


def _to_standby(carry: Carry, room: Room) -> Carry:
    """One for the standby: known by the host's id too, and told of which session it is."""
    standby = room.standby
    if standby is None or carry.to not in {standby.host_id, standby.host_peer_id}:
        return carry
    return replace(carry, to=standby.host_peer_id, named=True)


@lru_cache(SUBJECTS_KEPT)
def _deliver(gateway_id: str, peer_id: str, session_id: str) -> str:
    return DELIVER.of(gateway_id=gateway_id, peer_id=peer_id, session_id=session_id)


@lru_cache(SUBJECTS_KEPT)
def _bounce(gateway_id: str, socket: int, kind: str, peer_id: str) -> str:
    return BOUNCE.of(gateway_id=gateway_id, socket=str(socket), type=kind, peer_id=peer_id, answers_to=NO_ID)


def frame_named(subject: str) -> tuple[int, str, str, str | None]:
    """Which frame came back: the number of its sender's socket, its kind, whom it was for, and its `id`."""
    named = BOUNCE.parse(subject)
    answers_to = named["answers_to"]
    frame_id = None if answers_to == NO_ID else answers_to.removeprefix(ID)
    return int(named["socket"]), named["type"], named["peer_id"], frame_id


@lru_cache(SUBJECTS_KEPT)
def receiver_named(subject: str) -> tuple[str, str]:
    """Whom a delivery is for, and about which session."""
    named = DELIVER.parse(subject)
    return named["peer_id"], named["session_id"]
