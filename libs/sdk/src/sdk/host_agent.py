"""A player's machine as a host: registered, beating, reachable through signaling, serving players' data channels.

Players side by side; what one player sends is handled one message at a time, in order.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType, TracebackType
from typing import Self

import aiohttp
from contracts.frames import (
    SOCKET_LOST,
    ErrorFrame,
    IceCandidateOut,
    IceServer,
    NpcEventFrame,
    OfferOut,
    PeerLeft,
    ProbeOffer,
    SessionAssigned,
    SessionReleased,
    StandbyAssigned,
    StandbyReleased,
)
from contracts.hosts import Heartbeat, RegisterHost
from contracts.npcs import NpcFeed, NpcRecord
from contracts.refusals import Code
from contracts.sessions import PLANNED_MOVES
from opentelemetry.context import get_current
from pydantic import JsonValue

from sdk.agent_events import (
    AgentEvent,
    BeatFailed,
    BeatStored,
    PlayerArriving,
    PlayerConnected,
    PlayerFailed,
    PlayerGone,
    Registered,
    SignalingConnected,
    SignalingLost,
)
from sdk.backoff import Backoff
from sdk.channel import PlayerChannel
from sdk.checkpoints import Checkpoints
from sdk.errors import ChannelClosedError, NotHostedError, P2pError, RefusedError, ReplacedError, UnreachableError
from sdk.feeding import Feeding
from sdk.ice_servers import IceServers
from sdk.player import OnMessage, Player
from sdk.probe import Probes, accepting_probes
from sdk.quality import Traffic, heartbeat
from sdk.registration import Registration
from sdk.rest import Rest
from sdk.signaling import Heard, SignalingSocket
from sdk.tokens import Credentials, tokens_for
from sdk.tracing import traceparent_of

log = logging.getLogger(__name__)

BEAT_EVERY = timedelta(seconds=15)
"""What the coordinator expects; it begins to doubt after 20 s."""

GO_OVER_WITHIN_S = 5.0
"""How long players whom another host takes over by plan are served here too; they connect there in some 0.3 s."""

FLUSH_WITHIN_S = 2.0
"""How long closing waits for what was sent to leave."""


class OnClose(StrEnum):
    """What becomes of the registration when the agent closes."""

    KEEP = "keep"
    """Left as it is: the coordinator calls the host offline as soon as it misses it."""
    DRAIN = "drain"
    """No new sessions from now on; those present go to other hosts, and are served here until players are there."""
    UNREGISTER = "unregister"
    """Forgotten."""


class HostAgent:
    """Offers this machine as a host for as long as the `async with` block lasts.

    `url` is a gateway's (or their balancer's) base URL, `host` what to register. `on_message` is awaited for each
    message of a player, `on_event` is called for everything else worth knowing and must not block. `measure` may
    correct what a beat says; without it a beat says what the players' connections measured. Probes are answered unless
    `host` says `accepts_probes=False`. `credentials` are for a coordinator that asks who calls: a ServerKey on the
    operator's machines; on a player's what the game's backend gives, a TokenAnswer or a function that fetches tokens.

    Entering registers the host and returns when players can reach it; it raises RefusedError, UnreachableError or
    NotAllowedError when that cannot be. Later losses of the connection are made good without a word but events.
    """

    def __init__(
        self,
        url: str,
        host: RegisterHost,
        *,
        on_message: OnMessage,
        on_event: Callable[[AgentEvent], None] = lambda _: None,
        measure: Callable[[Heartbeat], Heartbeat] = lambda measured: measured,
        credentials: Credentials | None = None,
        ice_servers: Sequence[IceServer] | None = None,
        on_close: OnClose = OnClose.DRAIN,
        beat_every: timedelta = BEAT_EVERY,
        backoff: Backoff | None = None,
    ) -> None:
        self._url = url
        self._host = accepting_probes(host)
        self._on_message = on_message
        self._tell = on_event
        self._measure = measure
        self._credentials = credentials
        self._own_ice_servers = ice_servers
        self._on_close = on_close
        self._beat_every = beat_every
        self._backoff = backoff or Backoff()
        self._sessions: dict[str, SessionAssigned] = {}
        self._stands_by: dict[str, StandbyAssigned] = {}
        self._ahead: dict[str, asyncio.Task[None]] = {}
        self._players: dict[tuple[str, str], Player] = {}
        self._reachable = asyncio.Event()
        self._alone = asyncio.Event()
        self._alone.set()
        self.took_leave = False
        """Whether, at the end, the coordinator was told."""

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            http = await stack.enter_async_context(aiohttp.ClientSession())
            tokens = tokens_for(self._host, self._credentials, http, self._url)
            self._registration = Registration(Rest(http, self._url), tokens, self._host)
            self._checkpoints = Checkpoints(self._registration, self._sessions)
            self._ice_servers = IceServers(self._registration, self._own_ice_servers)
            self._signaling = SignalingSocket(
                http,
                self._url,
                self._host.peer_id or self._host.host_id,
                tokens=tokens,
                on_frame=self._heard,
                on_connected=self._connected,
                on_lost=self._lost,
                backoff=self._backoff,
            )
            self._feeding = Feeding(self._signaling.send, self._players.values)
            self._probes = Probes(self._signaling.send, self._ice_servers.now, lambda: not self._players)
            self._traffic = Traffic(time.monotonic())
            self._tell(Registered(await self._registration.register()))
            self._running = asyncio.create_task(self._run(), name=f"host agent {self._host.host_id}")
            stack.push_async_callback(self._stop)
            await self._until_reachable()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        async with self._stack:
            await self._take_leave()
            if self.took_leave and self._on_close is OnClose.DRAIN and kind is None:
                await self._players_gone()

    @property
    def sessions(self) -> Mapping[str, SessionAssigned]:
        """The sessions this host serves now, by id."""
        return MappingProxyType(self._sessions)

    @property
    def stands_by(self) -> Mapping[str, StandbyAssigned]:
        """The sessions that this host takes over should theirs be lost, by id.

        Their players connect ahead, and say nothing yet; the newest state that their host saved is here already when
        `load` is called. `SessionAssigned` says that one is taken over, `StandbyReleased` that it will not be.
        """
        return MappingProxyType(self._stands_by)

    def channels(self, session_id: str | None = None) -> Sequence[PlayerChannel]:
        """Give the open channels, of one session or of all."""
        return [
            channel
            for player in self._players.values()
            if session_id in {None, player.session_id}
            for channel in player.channels
            if channel.open
        ]

    async def broadcast(self, message: str | bytes, session_id: str | None = None) -> int:
        """Send to every open channel, of one session or of all; give how many it went to."""
        sent = await asyncio.gather(
            *(channel.send(message) for channel in self.channels(session_id)), return_exceptions=True
        )
        for outcome in sent:
            if isinstance(outcome, BaseException) and not isinstance(outcome, ChannelClosedError):
                raise outcome
        return sum(outcome is None for outcome in sent)

    def npcs(self, zone_id: str) -> Mapping[str, NpcRecord]:
        """Give the NPCs of a zone that this host serves, by id, as the AI world last told of them."""
        return self._feeding.npcs(zone_id)

    async def npc_event(
        self, zone_id: str, npc_id: str, event: str, data: JsonValue = None, session_id: str | None = None
    ) -> None:
        """Tell the AI world that something happened to an NPC of a zone that this host serves.

        `session_id` says in which session, where several are of the zone. Raises NotHostedError when none is, and
        UnreachableError when signaling stays away.
        """
        session_id = session_id or self._feeding.session_of(zone_id)
        if session_id is None:
            raise NotHostedError(zone_id)
        frame = NpcEventFrame(
            zone_id=zone_id,
            npc_id=npc_id,
            event=event,
            data=data,
            session_id=session_id,
            traceparent=traceparent_of(get_current(), None),
        )
        await self._signaling.send(frame)

    async def save(self, session_id: str, data: bytes) -> None:
        """Store the state of a session at the coordinator, up to 10 MiB, for whoever hosts it after this host.

        It takes the place of the one before. Load first in a session that this run of the program has not begun.
        Raises StaleEpochError when another host has taken over, NotAssignedError when the session is not served here,
        RefusedError (`conflict`) when a newer one is kept, and UnreachableError when it is not known to be kept.
        """
        await self._checkpoints.save(session_id, data)

    async def load(self, session_id: str) -> bytes | None:
        """Give the state of a session as it was stored last, by this host or the one before; None: it never was."""
        return await self._checkpoints.load(session_id)

    async def until_stopped(self) -> None:
        """Wait for as long as all is well; raise ReplacedError or NotAllowedError when the agent had to stop."""
        await asyncio.shield(self._running)

    async def _run(self) -> None:
        try:
            async with asyncio.TaskGroup() as self._tasks:
                self._tasks.create_task(self._beat())
                self._tasks.create_task(self._signaling.run())
                self._tasks.create_task(self._feeding.run())
        except ExceptionGroup as failed:
            # One task's failure ends the group; whoever waits wants that failure, not the group.
            raise failed.exceptions[0] from None

    async def _stop(self) -> None:
        self._running.cancel()
        with suppress(asyncio.CancelledError, P2pError):
            # What ended it early was raised by `until_stopped` to whoever asked.
            await self._running

    async def _until_reachable(self) -> None:
        reachable = asyncio.create_task(self._reachable.wait())
        try:
            await asyncio.wait((reachable, self._running), return_when=asyncio.FIRST_COMPLETED)
        finally:
            reachable.cancel()
        if self._running.done():
            await self._running

    async def _take_leave(self) -> None:
        """Have what was sent leave, and tell the coordinator first, so that it sends nobody here meanwhile.

        Whoever was replaced says nothing more: the host is the other's now.
        """
        try:
            match OnClose.KEEP if self._replaced else self._on_close:
                case OnClose.KEEP:
                    pass
                case OnClose.DRAIN:
                    await self._registration.drain()
                case OnClose.UNREGISTER:
                    await self._registration.unregister()
            self.took_leave = True
        except P2pError as error:
            log.warning("the coordinator was not told that host %s closes: %s", self._host.host_id, error)
        with suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_WITHIN_S):
                await asyncio.gather(*(channel.flush() for channel in self.channels()))

    async def _players_gone(self) -> None:
        """Wait for those who go to another host; whoever has not gone by then is left."""
        with suppress(TimeoutError):
            async with asyncio.timeout(GO_OVER_WITHIN_S):
                await self._alone.wait()

    @property
    def _replaced(self) -> bool:
        over = self._running.done() and not self._running.cancelled()
        return over and isinstance(self._running.exception(), ReplacedError)

    async def _beat(self) -> None:
        clock = asyncio.get_running_loop().time
        due = clock()
        while True:
            due += self._beat_every.total_seconds()
            await asyncio.sleep(due - clock())
            await self._beat_once()

    async def _beat_once(self) -> None:
        players = self._players.values()
        mbps = self._traffic.mbps(players, time.monotonic())
        beat = self._measure(heartbeat(players, self._sessions, mbps))
        try:
            self._tell(BeatStored(await self._registration.beat(beat)))
        except RefusedError as error:
            if error.code is Code.HOST_NOT_FOUND:
                await self._register_again()
            else:
                self._tell(BeatFailed(str(error)))
        except UnreachableError as error:
            self._tell(BeatFailed(str(error)))

    async def _register_again(self) -> None:
        try:
            self._tell(Registered(await self._registration.register()))
        except (RefusedError, UnreachableError) as error:
            self._tell(BeatFailed(str(error)))

    def _connected(self) -> None:
        self._reachable.set()
        for session_id in list(self._stands_by):  # told again, if it is so still
            self._stand_by_no_more(session_id)
        self._tell(SignalingConnected())
        if self._sessions:
            self._tasks.create_task(self._drop_ended_sessions(frozenset(self._sessions)))

    def _lost(self, reason: str, retry_in: timedelta) -> None:
        self._tell(SignalingLost(reason, retry_in))

    async def _drop_ended_sessions(self, known: frozenset[str]) -> None:
        """Find out which sessions ended while we could not hear it; the gateway names only those that live."""
        try:
            live = {session.session_id for session in await self._registration.live_sessions()}
        except (RefusedError, UnreachableError) as error:
            log.warning("sessions that ended meanwhile are not known: %s", error)
            return
        for session_id in known - live:
            self._heard(SessionReleased(session_id=session_id, reason="ended_meanwhile"))

    def _heard(self, frame: Heard) -> None:  # noqa: C901, PLR0912 -- one case for each frame that concerns a host
        match frame:
            case NpcFeed():
                self._feeding.hear(frame)
            case OfferOut():
                self._welcome(frame)
            case ProbeOffer() if self._host.accepts_probes:
                self._tasks.create_task(self._probes.answer(frame))
            case IceCandidateOut():
                if player := self._players.get((frame.session_id or "", frame.sender)):
                    player.hear_candidate(frame.candidate, frame.ufrag)
            case PeerLeft():
                player = self._players.get((frame.session_id or "", frame.peer_id))
                # Who has lost the socket alone plays on, and may be back in a second.
                if player is not None and not (player.connected and frame.reason in SOCKET_LOST):
                    player.end(f"left: {frame.reason}" if player.connected else "left before the connection stood")
            case SessionAssigned():
                self._sessions[frame.session_id] = frame
                self._stand_by_no_more(frame.session_id)
                self._feeding.assigned(frame)
                for player in self._players.values():
                    if player.session_id == frame.session_id:
                        self._feeding.follow(player)
                self._tell(frame)
            case SessionReleased():
                self._sessions.pop(frame.session_id, None)
                self._feeding.released(frame.session_id)
                self._checkpoints.released(frame.session_id)
                self._see_off(frame)
                self._tell(frame)
            case StandbyAssigned():
                self._stand_by(frame)
                self._tell(frame)
            case StandbyReleased():
                self._stand_by_no_more(frame.session_id)
                self._checkpoints.released(frame.session_id)
                for player in self._players.values():
                    if player.session_id == frame.session_id:
                        player.end(f"the host stands by no more: {frame.reason}")
                self._tell(frame)
            case ErrorFrame(in_reply_to="subscribe" | "npc-event"):
                log.warning("the gateway refused a %s: %s (%s)", frame.in_reply_to, frame.message, frame.code)

    def _stand_by(self, session: StandbyAssigned) -> None:
        self._stands_by[session.session_id] = session
        if session.session_id not in self._ahead:
            fetching = self._checkpoints.load_ahead(session.session_id)
            self._ahead[session.session_id] = self._tasks.create_task(fetching)

    def _stand_by_no_more(self, session_id: str) -> None:
        self._stands_by.pop(session_id, None)
        if (fetching := self._ahead.pop(session_id, None)) is not None:
            fetching.cancel()

    def _see_off(self, released: SessionReleased) -> None:
        """Have the players go: at once, or where they go to another host by plan, when they are there."""
        reason = f"the session was released: {released.reason}"
        for player in self._players.values():
            if player.session_id != released.session_id:
                continue
            if released.reason in PLANNED_MOVES:
                asyncio.get_running_loop().call_later(GO_OVER_WITHIN_S, player.end, reason)
            else:
                player.end(reason)

    def _welcome(self, offer: OfferOut) -> None:
        # At once, not in the task: the offer's candidates are the next frames.
        key = (offer.session_id or "", offer.sender)
        if before := self._players.get(key):
            before.end("made a new connection")
        self._alone.clear()
        player = self._players[key] = Player(offer, self._on_message, self._feeding.follow)
        self._tell(PlayerArriving(player.session_id, player.player_id))
        self._tasks.create_task(self._serve(player))

    async def _serve(self, player: Player) -> None:
        try:
            reason = await player.run(await self._ice_servers.now(), self._signaling.send, self._player_connected)
            self._tell(PlayerGone(player.session_id, player.player_id, reason))
        except P2pError as error:
            self._tell(PlayerFailed(player.session_id, player.player_id, str(error)))
        except Exception as error:
            # The outermost edge: an offer is a stranger's text, and aiortc has an exception for every way to be wrong.
            log.warning("an offer of player %s cannot be used", player.player_id, exc_info=True)
            self._tell(PlayerFailed(player.session_id, player.player_id, f"the offer cannot be used: {error!r}"))
        finally:
            self._traffic.keep(player)
            key = (player.session_id, player.player_id)
            if self._players.get(key) is player:
                del self._players[key]
            if not self._players:
                self._alone.set()

    def _player_connected(self, player: Player) -> None:
        self._tell(PlayerConnected(player.session_id, player.player_id, player.elapsed))
