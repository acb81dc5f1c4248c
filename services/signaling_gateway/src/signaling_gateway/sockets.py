"""The signaling WebSocket: who may open one, what is read from it and done about it, and how it ends."""

import asyncio
import random
import time
from datetime import timedelta
from typing import assert_never
from urllib.parse import parse_qsl

import structlog
from chassis import tracing
from chassis.refusals import WEBSOCKET_CLOSE, InternalError, ServiceError
from chassis.sampling import Policy, Sampling
from contracts.closing import CloseCode
from contracts.frames import ErrorFrame, Join, Reconnect
from contracts.refusals import Code
from starlette.types import Receive, Scope, Send

from signaling_gateway.access.entrance import Entrance
from signaling_gateway.access.errors import ForbiddenError, UnauthenticatedError
from signaling_gateway.cluster.announcer import Announcer
from signaling_gateway.limits.flow import Excess, Flow
from signaling_gateway.limits.turnstile import MESSAGES, Turnstile
from signaling_gateway.npcs.feeds import Feeds
from signaling_gateway.peers.connections import NOT_LET_IN, Connection, Connections
from signaling_gateway.peers.conversation import (
    BAD_FRAMES,
    Carry,
    Deed,
    Enter,
    EnterZone,
    GoOut,
    Listen,
    PassProbe,
    Reply,
    Report,
    TellAiWorld,
    hear,
    peer_name,
)
from signaling_gateway.peers.frame_metrics import HEARD, REFUSED, SECONDS
from signaling_gateway.peers.frames import FrameRefusedError, Heard, Signal, UnreadableError, read
from signaling_gateway.peers.uvicorn_socket import WIRE, Wire
from signaling_gateway.peers.warp import USER_AGENT, WarpWire, from_warp, speaks_warp
from signaling_gateway.rooms.entering import Entering
from signaling_gateway.rooms.join_funnel import JoinFunnel
from signaling_gateway.rooms.probing import Probing
from signaling_gateway.rooms.relay import Relay
from signaling_gateway.rooms.unanswered import Unanswered
from signaling_gateway.trace_rates import FLOOD, up_to_a_bound

log = structlog.stdlib.get_logger()

RECONNECT_WITHIN = timedelta(seconds=3)
"""A gateway's clients come back spread over this; a seat is kept for ten times as long."""

TOO_MANY = "too many messages"

TURNS = 64
"""Frames read from one socket before others have theirs: a full read buffer holds hundreds."""

MAX_PARAMETERS = 20
"""Ours are four; a proxy may add some."""

ENTRIES = "entry"
RELAYED = "relay"
OTHER = "other"


def sampling_of_frames() -> dict[str, Policy]:
    """Which frames leave a trace: every entry up to a bound, a relayed signal hardly ever."""
    return {ENTRIES: up_to_a_bound(), RELAYED: FLOOD, OTHER: FLOOD}


class Sockets:
    """The ASGI application behind the signaling paths."""

    def __init__(
        self,
        *,
        entrance: Entrance,
        turnstile: Turnstile,
        connections: Connections,
        entering: Entering,
        relay: Relay,
        announcer: Announcer,
        funnel: JoinFunnel,
        feeds: Feeds,
        probing: Probing,
        unanswered: Unanswered,
        sampling: Sampling,
        warp_upgrade_after: timedelta,
    ) -> None:
        self._entrance = entrance
        self._turnstile = turnstile
        self._connections = connections
        self._entering = entering
        self._relay = relay
        self._announcer = announcer
        self._funnel = funnel
        self._feeds = feeds
        self._probing = probing
        self._unanswered = unanswered
        self._sampling = sampling
        self._warp_upgrade_after = warp_upgrade_after
        self._draining = False
        self._closed = asyncio.Condition()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        headers = dict(scope["headers"])
        wire: Wire = scope["extensions"][WIRE]
        is_warp_client = headers.get(b"user-agent") == USER_AGENT and b"peer_id=" not in scope["query_string"]
        if is_warp_client:
            await asyncio.sleep(self._warp_upgrade_after.total_seconds())
            if wire.disconnected:
                return
        if self._draining:
            await send({"type": "websocket.http.response.start", "status": 503, "headers": [(b"retry-after", b"1")]})
            await send({"type": "websocket.http.response.body", "body": b""})
            return
        await send({"type": "websocket.accept"})
        connection = Connection(WarpWire(wire) if is_warp_client else wire)
        self._connections.add(connection)
        try:
            await self._let_in(connection, scope)
            await self._listen(connection, receive)
        finally:
            await self._end(connection)

    async def drain(self, within: timedelta, warp_stays: timedelta) -> None:
        """Send everybody away, to come back to any gateway; return when they are gone or the time is up.

        WARP clients would not come back: they stay, and are served, until they must go.
        """
        self._draining = True
        for connection in self._connections:
            if not connection.speaks_warp:
                _send_away(connection)
        if any(connection.speaks_warp for connection in self._connections):
            await self._all_gone(warp_stays)
        for connection in self._connections:
            _send_away(connection)
        if not await self._all_gone(within):
            log.warning("sockets.not_drained", left=len(self._connections))

    async def _all_gone(self, within: timedelta) -> bool:
        try:
            async with asyncio.timeout(within.total_seconds()), self._closed:
                await self._closed.wait_for(lambda: len(self._connections) == 0)
        except TimeoutError:
            return False
        return True

    async def _let_in(self, connection: Connection, scope: Scope) -> None:
        """Find out who it is, and do what the URL says; who may not be here is told and closed."""
        address = scope["client"][0] if scope["client"] else ""
        try:
            asked = _asked(scope["query_string"].decode("latin-1"))
            peer_id = peer_name(asked["peer_id"]) if "peer_id" in asked else None
            connection.entry = self._entrance.enter(
                scope["headers"],
                asked.get("token"),
                address,
                is_game_client=connection.speaks_warp,
            )
            await self._begin(connection, asked, peer_id or connection.entry.identity.peer_id, dict(scope["headers"]))
        except ServiceError as error:
            if isinstance(error, UnauthenticatedError):
                await self._turnstile.failure(address)
            connection.entry = NOT_LET_IN
            _refuse(connection, error)
            refusal = error.refusal
            connection.wire.hang_up(WEBSOCKET_CLOSE.get(refusal.code, CloseCode.NOT_ALLOWED), refusal.detail)

    async def _begin(
        self, connection: Connection, asked: dict[str, str], peer_id: str | None, headers: dict[bytes, bytes]
    ) -> None:
        """Do what the URL says: a name, and a session to join."""
        if peer_id is not None and connection.entry.identity.peer_id not in {None, peer_id}:
            raise ForbiddenError("The token is another peer's.")
        if "session_id" in asked:
            _choose_dialect(connection, None)
            traceparent = headers.get(b"traceparent", b"").decode("latin-1") or None
            join = Join(session_id=asked["session_id"], peer_id=peer_id, traceparent=traceparent)
            await self._answer(connection, join)
        elif peer_id is not None:
            await self._entering.name(connection, peer_id)

    def _drop(self, connection: Connection, flow: Flow) -> None:
        """A frame is one too many: now and then it is said, and who goes on and on is closed."""
        MESSAGES.inc()
        match flow.exceeded():
            case Excess.TELL:
                connection.say(ErrorFrame(message="Too many messages", code=Code.TOO_MANY_REQUESTS))
            case Excess.CLOSE:
                self._entrance.flooded(connection.entry, TOO_MANY)
                connection.wire.hang_up(CloseCode.NOT_ALLOWED, TOO_MANY)

    async def _listen(self, connection: Connection, receive: Receive) -> None:
        flow = self._turnstile.flow()
        bad_in_a_row = 0
        turn = 0
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            turn += 1
            if turn % TURNS == 0:
                await asyncio.sleep(0)
            if flow is not None and not flow.passes():
                self._drop(connection, flow)
                continue
            text = message.get("text")
            if not connection.has_spoken:
                _choose_dialect(connection, text)
            try:
                frame = _readable(from_warp(text) if text is not None and connection.speaks_warp else text)
            except UnreadableError as error:
                bad_in_a_row += 1
                REFUSED.labels("unreadable", Code.INVALID).inc()
                connection.say(ErrorFrame(message=str(error), code=Code.INVALID))
                if bad_in_a_row == BAD_FRAMES:
                    connection.wire.hang_up(CloseCode.NOT_READABLE, "no readable frames")
                continue
            except FrameRefusedError as error:
                bad_in_a_row = 0
                _refuse(connection, error, error.in_reply_to, error.id)
                continue
            bad_in_a_row = 0
            await self._answer(connection, frame)

    async def _answer(self, connection: Connection, frame: Heard) -> None:
        """Do what a frame asks for; whatever comes of it, the socket lives."""
        HEARD[frame.type] += 1
        if type(frame) is Signal and frame.traceparent is None and not self._sampling.keeps(RELAYED):
            # An edge's span, unsampled, costs as much as the rest of a relay.
            if (refused := await self._guarded(connection, frame)) is not None:
                REFUSED.labels(frame.type, refused).inc()
            return
        kind = (
            RELAYED
            if type(frame) is Signal
            else ENTRIES
            if frame.type in {"join", "enter", "create_session"}
            else OTHER
        )
        began_at = time.perf_counter()
        with tracing.edge(self._sampling, kind, f"ws {frame.type}", traceparent=frame.traceparent) as span:
            refused = await self._guarded(connection, frame)
            if refused is not None:
                span.set_attribute(tracing.REFUSAL, refused)
                REFUSED.labels(frame.type, refused).inc()
        SECONDS.labels(kind).observe(time.perf_counter() - began_at, tracing.exemplar(span))

    async def _guarded(self, connection: Connection, frame: Heard) -> Code | None:
        connection.answers_to = answers_to = frame.id if isinstance(frame.id, str) else None
        try:
            if frame.type not in connection.entry.frames:
                self._entrance.forbid(connection.entry, frame.type)
            await self._do(connection, hear(connection.standing, frame))
        except ServiceError as error:
            _refuse(connection, error, frame.type, answers_to)
            return error.refusal.code
        except Exception:
            log.exception("sockets.frame_failed", type=frame.type)
            _refuse(connection, InternalError("Internal error"), frame.type, answers_to)
            return Code.INTERNAL
        finally:
            connection.answers_to = None
        return None

    async def _do(self, connection: Connection, deed: Deed) -> None:
        match deed:
            case Carry():
                await self._relay.carry(connection, deed)
            case Enter() | EnterZone():
                await self._entering.enter(connection, deed)
            case GoOut():
                await self._entering.go_out(connection, deed.place)
            case Report():
                self._report(connection, deed)
            case Reply():
                connection.say(deed.frame)
            case Listen():
                await self._feeds.subscribe(connection, deed.zone_id)
            case TellAiWorld():
                await self._feeds.tell(deed.event)
            case PassProbe():
                await self._probing.answered(deed.answer)
            case _:
                assert_never(deed)

    def _report(self, connection: Connection, deed: Report) -> None:
        self._unanswered.settled(connection.peer_id)
        if deed.place.is_session:
            self._announcer.ice_reported(deed.place.session_id, connection.peer_id, deed.result)
        ahead = self._relay.stands_by(deed.place.session_id, deed.result.to)
        # A host's word on the same connection would count it twice, and who connects ahead entered long ago.
        if connection.standing.host_id is None and not ahead:
            self._funnel.reported(deed.result)

    async def _end(self, connection: Connection) -> None:
        connection.wire.hang_up(CloseCode.DEFECT, "internal error")  # does nothing unless a defect brought us here
        try:
            await self._entering.depart(connection)
        finally:
            async with self._closed:
                self._closed.notify_all()


def _choose_dialect(connection: Connection, said: str | None) -> None:
    """Take what it says first, in a message or else in its URL, for the dialect it speaks."""
    connection.has_spoken = True
    wire = connection.wire.plain if isinstance(connection.wire, WarpWire) else connection.wire
    connection.wire = WarpWire(wire) if said is not None and speaks_warp(said) else wire


def _send_away(connection: Connection) -> None:
    longest_ms = int(RECONNECT_WITHIN.total_seconds() * 1000)
    connection.left_because = "restarting"
    connection.say(Reconnect(after_ms=random.randrange(longest_ms)))  # noqa: S311 -- spreads load
    connection.wire.hang_up(CloseCode.RESTARTING, "restarting")


def _asked(query: str) -> dict[str, str]:
    try:
        given = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS)
    except ValueError:
        raise FrameRefusedError("The query is malformed") from None  # its error holds what was sent
    if len(asked := dict(given)) < len(given):
        raise FrameRefusedError("The query says something twice")
    return {name: value for name, value in asked.items() if value}  # `token=` is how some programs say none


def _readable(text: str | None) -> Heard:
    if text is None:
        raise UnreadableError("Frames are text")
    return read(text)


def _refuse(
    connection: Connection, error: ServiceError, in_reply_to: str | None = None, answers_to: str | None = None
) -> None:
    refusal = error.refusal
    connection.say(ErrorFrame(message=refusal.detail, code=refusal.code, in_reply_to=in_reply_to, id=answers_to))
