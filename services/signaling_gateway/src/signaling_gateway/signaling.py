"""Signaling, put together: what `app.py` runs beside the REST half."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from chassis.bus import Bus
from chassis.clock import SystemClock
from chassis.events import Consumers
from chassis.health import Health
from chassis.ids import new_event_id
from chassis.loops import Loop, running
from chassis.redis import TracedRedis
from chassis.sampling import Sampling
from contracts.probes import PROBE_OFFER

from signaling_gateway.access.opening import Access
from signaling_gateway.background import running_errands
from signaling_gateway.cluster.announcer import announcing
from signaling_gateway.cluster.mailbox import Mailbox
from signaling_gateway.cluster.neighbours import telling
from signaling_gateway.cluster.presence import Presence
from signaling_gateway.handlers import Inbox, hear_facts
from signaling_gateway.limits.turnstile import Turnstile
from signaling_gateway.monitoring.socket_totals import Figures
from signaling_gateway.npcs.feeds import Feeds
from signaling_gateway.peers.connections import Connections
from signaling_gateway.peers.frames import KINDS
from signaling_gateway.rooms.entering import Attendance
from signaling_gateway.rooms.hosting import Doubts, Hosting
from signaling_gateway.rooms.ice_servers import IceServers
from signaling_gateway.rooms.join_funnel import Funnel
from signaling_gateway.rooms.polling import Correspondence
from signaling_gateway.rooms.probing import Probing
from signaling_gateway.rooms.relay import Relay
from signaling_gateway.rooms.rooms import Rooms
from signaling_gateway.rooms.session_facts import Membership
from signaling_gateway.rooms.unanswered import Unanswered
from signaling_gateway.rooms.upkeep import Upkeep
from signaling_gateway.sockets import Sockets

LOOK_AFTER_FEEDS_EVERY = timedelta(seconds=2)
"""How long a wish for a full feed may stay unheard, where the scheduler's leader has just died."""

DRAIN_WITHIN = timedelta(seconds=4)
"""Closing handshakes take milliseconds; whoever doesn't answer is cut off."""


@dataclass(frozen=True, slots=True)
class Signaling:
    """What the rest of the gateway uses of it."""

    sockets: Sockets
    figures: Figures
    correspondence: Correspondence
    warp_stays: timedelta

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Be there for clients for the length of the block; then they are sent away."""
        try:
            yield
        finally:
            await self.sockets.drain(DRAIN_WITHIN, self.warp_stays)


@asynccontextmanager
async def open_signaling(
    *,
    bus: Bus,
    redis: TracedRedis,
    health: Health,
    ice: IceServers,
    sampling: Sampling,
    access: Access,
    turnstile: Turnstile,
    warp_upgrade_after: timedelta,
    warp_stays: timedelta,
    answer_within: timedelta,
) -> AsyncIterator[Signaling]:
    """Hear other gateways and the owners' facts, and keep true what was told, until the block ends."""
    gateway_id = f"gw-{new_event_id().replace('-', '')}"
    connections, entrance = Connections(), access.entrance(bus, SystemClock(), KINDS)
    presence = Presence(redis, gateway_id)
    mailbox = Mailbox(redis)
    funnel, unanswered = Funnel(), Unanswered(answer_within, time.monotonic)
    async with (
        announcing(bus, gateway_id, SystemClock()) as announcer,
        telling(bus) as neighbours,
        running_errands() as errands,
    ):
        rooms = Rooms(gateway_id, neighbours.tell)
        figures = Figures(connections, rooms, funnel, presence)
        relay = Relay(
            bus=bus,
            gateway_id=gateway_id,
            connections=connections,
            rooms=rooms,
            presence=presence,
            mailbox=mailbox,
            errands=errands,
            unanswered=unanswered,
        )
        hosting = Hosting(bus=bus, connections=connections, rooms=rooms, presence=presence, announcer=announcer)
        attendance = Attendance(
            bus=bus,
            connections=connections,
            rooms=rooms,
            presence=presence,
            hosting=hosting,
            announcer=announcer,
            neighbours=neighbours,
            funnel=funnel,
            ice=ice,
            entrance=entrance,
        )
        inbox = Inbox(
            bus=bus,
            connections=connections,
            rooms=rooms,
            relay=relay,
            attendance=attendance,
            doubts=Doubts(hosting, errands),
        )
        consumers = Consumers(bus, "signaling_gateway", instance=gateway_id)
        hear_facts(
            consumers,
            Membership(connections=connections, rooms=rooms, presence=presence, hosting=hosting, attendance=attendance),
        )
        upkeep = Upkeep(
            bus=bus,
            connections=connections,
            rooms=rooms,
            presence=presence,
            hosting=hosting,
            attendance=attendance,
            announcer=announcer,
            figures=lambda: figures.own().model_dump_json(),
            unanswered=unanswered,
        )
        feeds, probing = Feeds(bus), Probing(bus, connections)
        loops = [*upkeep.loops(), Loop("feeds", LOOK_AFTER_FEEDS_EVERY, feeds.look_after)]
        for loop in loops:
            health.watch_loop(loop)
        access.memory.on_change(connections.expel)
        sockets = Sockets(
            entrance=entrance,
            turnstile=turnstile,
            connections=connections,
            attendance=attendance,
            relay=relay,
            announcer=announcer,
            funnel=funnel,
            feeds=feeds,
            probing=probing,
            unanswered=unanswered,
            sampling=sampling,
            warp_upgrade_after=warp_upgrade_after,
        )
        bus.on_reconnect(upkeep.tell_all)
        bus.on_reconnect(feeds.begin_anew)
        await bus.subscribe(PROBE_OFFER.wildcard, probing.offered)
        hearing = await bus.subscribe_raw(f"p2p.gateway.{gateway_id}.>", inbox.take)
        try:
            async with consumers, running(*loops):
                yield Signaling(sockets, figures, Correspondence(bus, presence, relay, mailbox), warp_stays)
        finally:
            await hearing.unsubscribe()
            await presence.end()
