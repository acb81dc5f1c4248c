"""What a gateway does by the clock: keep true what it told Redis, notice dead gateways, say which sessions live."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

import structlog
from chassis.bus import Bus
from chassis.loops import Loop
from chassis.refusals import DeadlineExceededError, ServiceError, UnavailableError
from contracts.frames import IceResult, IceServersRenewed
from contracts.gateway import ALIVE, IceState

from signaling_gateway.cluster.announcer import Announcer
from signaling_gateway.cluster.presence import ENTRY_LIVES, GATEWAY_LIVES, HOST, PLAYER, Listing, Mark, Presence
from signaling_gateway.peers.connections import Connection, Connections, age_ms
from signaling_gateway.rooms.entering import Entering
from signaling_gateway.rooms.hosting import Hosting
from signaling_gateway.rooms.ice_servers import IceServers
from signaling_gateway.rooms.room import Room
from signaling_gateway.rooms.rooms import Rooms
from signaling_gateway.rooms.unanswered import Unanswered

log = structlog.stdlib.get_logger()

BEAT_EVERY = GATEWAY_LIVES / 3

SLICES = int(ENTRY_LIVES.total_seconds() / 3)
"""Each second a slice of the sockets is renewed, so that each comes up in a third of what its entry lives."""

BATCH = 500
"""Entries told in one round trip to Redis; others are served between two."""

ANSWERS_WITHIN_S = 2.0

ACTIVE_AGAIN_AFTER_S = 29.0
"""A session is named at most every 30 s; a little less, as rounds are not exact."""

JOINED_AFTER_MS = 5_000
"""A newer connection of a peer has told by then that it is in. Ended before, the older would be seen to go and come."""

ICE_SLICES = 60
"""Players' TURN credentials are renewed in so many parts, or in fewer, so that there is a second between two."""

ASK_AGAIN = 100
"""Unidentified sockets asked about in one round."""


class Upkeep:
    """The periodic work of signaling."""

    def __init__(
        self,
        *,
        bus: Bus,
        connections: Connections,
        rooms: Rooms,
        presence: Presence,
        hosting: Hosting,
        entering: Entering,
        announcer: Announcer,
        totals: Callable[[], str],
        unanswered: Unanswered,
        ice: IceServers,
    ) -> None:
        """`totals`: what this gateway says of itself with each beat."""
        self._bus = bus
        self._connections = connections
        self._rooms = rooms
        self._presence = presence
        self._hosting = hosting
        self._entering = entering
        self._announcer = announcer
        self._totals = totals
        self._unanswered = unanswered
        self._ice = ice
        self._ice_turn = 0
        self._slice = 0
        self._silent: set[str] = set()
        """Gateways that did not answer in the last round; in the second they are dead."""

    def loops(self) -> Sequence[Loop]:
        renewed_every = self._ice.renewed_every
        return (
            *((_ice_loop(renewed_every, self.renew_ice),) if renewed_every is not None else ()),
            Loop("presence-beat", BEAT_EVERY, self.beat),
            Loop("presence-renewal", timedelta(seconds=1), self.renew_slice),
            Loop("gateway-watch", timedelta(seconds=2), self.watch_gateways),
            Loop("sessions-active", timedelta(seconds=10), self.tell_active),
            Loop("identification", timedelta(seconds=2), self.identify),
            Loop("unanswered", timedelta(seconds=1), self.tell_unanswered),
        )

    async def beat(self) -> None:
        """Renew this gateway's life; tell everything again if Redis had forgotten it."""
        try:
            known = await self._presence.beat(self._totals())
        except UnavailableError:
            log.info("upkeep.redis_away")
            return
        if not known:
            await self.tell_all()

    async def tell_all(self) -> None:
        """Tell Redis and the other gateways again of every socket here, and learn what they have told.

        For when Redis was emptied or away, or NATS was: then others may have let go of our peers, and we of theirs.
        """
        named = self._connections.named()
        log.info("upkeep.telling_all", connections=len(named))
        try:
            for start in range(0, len(named), BATCH):
                await self._renew(named[start : start + BATCH])
                await asyncio.sleep(0)
            for room in self._rooms:
                self._rooms.tell_again(room, await self._reconciled(room))
        except UnavailableError:
            log.info("upkeep.redis_away")  # the beat notices when it is back

    async def renew_slice(self) -> None:
        """Renew one of `SLICES` parts of our entries in Redis, and correct as many of our rooms by what Redis has.

        Once a second: so each entry is renewed, and each room corrected, once a minute.
        """
        self._slice = (self._slice + 1) % SLICES
        sockets = [peer for peer in self._connections.named() if hash(peer.connection_id) % SLICES == self._slice]
        rooms = [room for room in self._rooms if hash(room.place.session_id) % SLICES == self._slice]
        try:
            for start in range(0, len(sockets), BATCH):
                await self._renew(sockets[start : start + BATCH])
            for room in rooms:
                await self._reconciled(room)
        except UnavailableError:
            return

    async def watch_gateways(self) -> None:
        """Ask each gateway with members in our rooms whether it lives; after two silent rounds its peers are gone."""
        gateways = {gateway for room in self._rooms for gateway in room.gateways} - {self._presence.gateway_id}
        answers = await asyncio.gather(*(self._answers(gateway) for gateway in gateways))
        silent = {gateway for gateway, answered in zip(gateways, answers, strict=True) if not answered}
        for gateway in silent & self._silent:
            log.info("upkeep.gateway_died", gateway_id=gateway)
            self._rooms.gateway_died(gateway)
            await self._presence.bury(gateway)
        self._silent = silent

    async def tell_active(self) -> None:
        """Publish which sessions have a socket here; also when there is none, which says that this gateway lives."""
        now = time.monotonic()
        due = [
            room for room in self._rooms if room.place.is_session and now - room.told_active_at > ACTIVE_AGAIN_AFTER_S
        ]
        try:
            await self._announcer.sessions_active([room.place.session_id for room in due])
        except ServiceError as error:
            log.info("upkeep.not_told", error=str(error))
            return
        for room in due:
            room.told_active_at = now

    async def identify(self) -> None:
        """Ask again about peers of whom nobody could say whether they are hosts."""
        unidentified = [connection for connection in self._connections.named() if connection.unidentified]
        for connection in unidentified[:ASK_AGAIN]:
            await self._hosting.identify(connection)
            if connection.unidentified:
                return

    async def tell_unanswered(self) -> None:
        """Say of players whose host does not answer that they have no connection."""
        for offer, waited in self._unanswered.overdue():
            connection = self._connections.of(offer.peer_id)
            place = None if connection is None or connection.seat != offer.seat else connection.standing.place
            if place is not None and (place.session_id, place.host_peer_id) == (offer.session_id, offer.to):
                outcome = IceResult(to=offer.to, state=IceState.FAILED, elapsed_ms=waited / timedelta(milliseconds=1))
                self._announcer.ice_reported(offer.session_id, offer.peer_id, outcome)

    async def renew_ice(self, slices: int) -> None:
        """Give one of so many parts of the players new TURN credentials, for when they connect anew."""
        self._ice_turn = (self._ice_turn + 1) % slices
        for player in self._connections.named():
            place = player.standing.place
            if player.number % slices == self._ice_turn and place is not None and not player.speaks_warp:
                servers = self._ice.of(player.peer_id, place.session_id, place.host_id)
                player.say(IceServersRenewed(session_id=place.session_id, ice_servers=servers))

    async def _reconciled(self, room: Room) -> Listing:
        as_of = room.changes
        listing = await self._presence.look(room.place.session_id)
        self._rooms.reconcile(room, listing, as_of)
        return listing

    async def _renew(self, connections: Sequence[Connection]) -> None:
        marks = [(connection, self._presence.mark(connection.connection_id)) for connection in connections]
        held = await self._presence.renew(
            [(connection.peer_id, mark) for connection, mark in marks],
            [entry for connection, mark in marks for entry in _entries(connection, mark)],
        )
        for connection, other in zip(connections, held, strict=True):
            if other is None:
                continue
            if other.connection_id > connection.connection_id:
                if age_ms(other.connection_id) > JOINED_AFTER_MS:
                    self._entering.replaced(connection.peer_id, other.connection_id)
            elif other.gateway_id != self._presence.gateway_id:
                self._entering.replace_elsewhere(connection, other)

    async def _answers(self, gateway_id: str) -> bool:
        try:
            await self._bus.request(ALIVE.of(gateway_id=gateway_id), b"{}", timeout_s=ANSWERS_WITHIN_S)
        except UnavailableError:
            return not self._bus.connected  # while NATS is away, nobody is dead for it
        except DeadlineExceededError:
            return False
        return True


def _ice_loop(all_renewed_every: timedelta, renew: Callable[[int], Awaitable[None]]) -> Loop:
    slices = max(1, min(ICE_SLICES, int(all_renewed_every.total_seconds())))
    return Loop("ice-renewal", all_renewed_every / slices, lambda: renew(slices))


def _entries(connection: Connection, mark: Mark) -> list[tuple[str, str, Mark]]:
    standing = connection.standing
    here = [(standing.place.session_id, PLAYER + connection.peer_id, mark)] if standing.place is not None else []
    return here + [(session_id, HOST + connection.peer_id, mark) for session_id in standing.hosted]
