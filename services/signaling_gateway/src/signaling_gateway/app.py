"""signaling_gateway, put together."""

import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from importlib.resources import files
from pathlib import Path

from chassis.bus import Bus, connect_bus
from chassis.certificate import LOOK_EVERY, Certificate
from chassis.clock import SystemClock
from chassis.database import open_database
from chassis.events import Consumers
from chassis.health import Health
from chassis.http import serve_http
from chassis.ids import new_event_id
from chassis.loops import Loop, every, running
from chassis.process import release_of
from chassis.redis import TracedRedis, open_redis
from chassis.responder import Responder
from chassis.sampling import Sampling
from chassis.streams import declare_streams
from contracts.probes import PROBE_OFFER

from signaling_gateway.access.handlers import answer_operators
from signaling_gateway.access.opening import Access, open_access
from signaling_gateway.background import in_background
from signaling_gateway.cluster.announcer import announcing
from signaling_gateway.cluster.mailbox import Mailbox
from signaling_gateway.cluster.neighbours import telling
from signaling_gateway.cluster.presence import Presence
from signaling_gateway.console.source import About, Console
from signaling_gateway.handlers import Inbox, hear_facts
from signaling_gateway.http.auth import auth_routes
from signaling_gateway.http.checkpoints import checkpoint_routes
from signaling_gateway.http.console import console_routes
from signaling_gateway.http.framework.application import application
from signaling_gateway.http.framework.edge import edge, opens_sockets
from signaling_gateway.http.framework.gate import Gate, sessions_of
from signaling_gateway.http.framework.routing import Routes
from signaling_gateway.http.hosts import host_routes
from signaling_gateway.http.monitoring import Monitoring, monitoring_routes
from signaling_gateway.http.root import root_route
from signaling_gateway.http.sampling import edge_sampling
from signaling_gateway.http.sessions import session_routes
from signaling_gateway.http.signaling import signaling_routes
from signaling_gateway.http.traces import trace_route
from signaling_gateway.http.zones import zone_routes
from signaling_gateway.limits.turnstile import Turnstile, open_turnstile
from signaling_gateway.monitoring.service_instances import ServiceInstances
from signaling_gateway.monitoring.socket_totals import SocketTotals
from signaling_gateway.npcs.feeds import Feeds
from signaling_gateway.peers.connections import Connections
from signaling_gateway.peers.frames import KINDS
from signaling_gateway.peers.uvicorn_socket import UVICORN_OPTIONS, Wire
from signaling_gateway.rooms.entering import Entering
from signaling_gateway.rooms.host_regions import host_regions
from signaling_gateway.rooms.hosting import Doubts, Hosting
from signaling_gateway.rooms.ice_servers import IceServers
from signaling_gateway.rooms.join_funnel import JoinFunnel
from signaling_gateway.rooms.polling import Polling
from signaling_gateway.rooms.probing import Probing
from signaling_gateway.rooms.relay import Relay
from signaling_gateway.rooms.rooms import Rooms
from signaling_gateway.rooms.session_facts import SessionFacts
from signaling_gateway.rooms.standing_by import StandingBy
from signaling_gateway.rooms.unanswered import Unanswered
from signaling_gateway.rooms.upkeep import Upkeep
from signaling_gateway.settings import Settings
from signaling_gateway.sockets import Sockets, sampling_of_frames

NAME = "signaling_gateway"

PING_EVERY = timedelta(seconds=5)

STOPPING = timedelta(seconds=5)
"""What the rest of a drain takes at worst; game clients that don't reconnect may stay for what is left of it."""

LOOK_AFTER_FEEDS_EVERY = timedelta(seconds=2)
"""How long a wish for a full feed may stay unheard, where the scheduler's leader has just died."""

DRAIN_WITHIN = timedelta(seconds=4)
"""Closing handshakes take milliseconds; whoever doesn't answer is cut off."""


@asynccontextmanager
async def service(settings: Settings) -> AsyncIterator[None]:
    """Serve until the block ends, then let what is in flight finish."""
    web = Path(str(files(NAME) / "web"))
    version = release_of(NAME)
    health = Health()
    certificate = Certificate(settings.tls_cert, settings.tls_key) if settings.tls_cert else None
    async with (
        connect_bus(settings.nats_url, settings.instance, settings.nats_creds, replicas=settings.nats_replicas) as bus,
        open_redis(settings.redis_url) as redis,
        open_database(settings.postgres_url, name=NAME, migrations=files(NAME) / "migrations") as database,
        open_access(
            bus=bus, database=database, health=health, clock=SystemClock(), rules=settings.access_rules
        ) as access,
        open_turnstile(
            redis=redis, health=health, rates=settings.rates, patience=timedelta(seconds=settings.limits_wait_s)
        ) as turnstile,
        _signaling(
            bus=bus,
            redis=redis,
            health=health,
            ice=_ice_servers(settings, bus),
            sampling=Sampling(sampling_of_frames()),
            access=access,
            turnstile=turnstile,
            warp_upgrade_after=timedelta(seconds=settings.warp_upgrade_delay_s),
            warp_stays=max(settings.drain - STOPPING, timedelta(0)),
            answer_within=timedelta(seconds=settings.answer_within_s),
        ) as signaling,
    ):
        health.watch("nats", lambda: bus.connected)
        health.watch("redis", redis.answers)
        health.watch("postgres", database.ping)
        await declare_streams(bus)
        instances = ServiceInstances(bus)
        await instances.listen()
        monitoring = Monitoring(
            bus=bus, redis=redis, instances=instances, health=health, sockets=signaling.totals.all, version=version
        )
        console = Console(bus, monitoring.dashboard_now, SystemClock(), _about(settings, version))
        routes = [
            *host_routes(bus),
            *zone_routes(bus),
            *session_routes(bus, signaling.ice, access.issuing.ticket),
            *checkpoint_routes(bus),
            *signaling_routes(signaling.polling, signaling.totals, signaling.ice),
            *monitoring_routes(monitoring),
            *console_routes(bus, console),
            trace_route(settings.traces_url, settings.traces_key),
            *auth_routes(access.issuing, access.doorman, access.administration, access.public_keys),
            root_route(bus, web / "console" / "index.html", version, p2p_enabled=settings.enable_p2p),
        ]
        app = edge(
            application(routes, version, web),
            Routes(routes),
            Gate(access.doorman, turnstile, access.audit, sessions_of(bus), monitoring.outdate),
            signaling.sockets,
            edge_sampling(routes),
            settings.cors_origins,
            settings.names,
            settings.trusted_proxies,
        )
        responder = Responder(bus, NAME, version, instance=settings.instance)
        answer_operators(responder, access.administration)
        async with (
            responder,
            every(PING_EVERY, instances.ping, "instances"),
            _looking_after(certificate),
            serve_http(
                app,
                settings.http_host,
                settings.http_port,
                tls=certificate,
                proxies=settings.trusted_proxies,
                websockets=Wire,
                takes_socket=opens_sockets,
                proxy_headers=False,  # who the client is, limits/clients.py says
                timeout_keep_alive=75,
                **UVICORN_OPTIONS,
            ),
            signaling.serving(),
            console.serving(),
        ):
            with health.serving():
                yield


def _about(settings: Settings, version: str) -> About:
    return About(
        version=version,
        gateway=settings.instance,
        enforced=settings.mode == "enforced",
        jaeger_url=settings.jaeger_url,
        traces=bool(settings.traces_url),
    )


def _ice_servers(settings: Settings, bus: Bus) -> IceServers:
    return IceServers(
        settings.stun_servers, settings.turn, settings.turn_secret, settings.turn_credentials, host_regions(bus)
    )


def _looking_after(certificate: Certificate | None) -> AbstractAsyncContextManager[object]:
    """Read it again when its files change."""
    return every(LOOK_EVERY, certificate.look_again, "certificate") if certificate is not None else nullcontext()


@dataclass(frozen=True, slots=True)
class Signaling:
    """What the rest of the gateway uses of it."""

    sockets: Sockets
    totals: SocketTotals
    polling: Polling
    ice: IceServers
    warp_stays: timedelta

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Be there for clients for the length of the block; then they are sent away."""
        try:
            yield
        finally:
            await self.sockets.drain(DRAIN_WITHIN, self.warp_stays)


@asynccontextmanager
async def _signaling(
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
    funnel, unanswered = JoinFunnel(), Unanswered(answer_within, time.monotonic)
    async with (
        announcing(bus, gateway_id, SystemClock()) as announcer,
        telling(bus) as neighbours,
        in_background() as background,
    ):
        rooms = Rooms(gateway_id, neighbours.tell)
        totals = SocketTotals(connections, rooms, funnel, presence)
        relay = Relay(
            bus=bus,
            gateway_id=gateway_id,
            connections=connections,
            rooms=rooms,
            presence=presence,
            mailbox=mailbox,
            background=background,
            unanswered=unanswered,
        )
        standing_by = StandingBy(connections=connections, rooms=rooms, presence=presence)
        hosting = Hosting(
            bus=bus,
            connections=connections,
            rooms=rooms,
            presence=presence,
            announcer=announcer,
            standing_by=standing_by,
        )
        entering = Entering(
            bus=bus,
            connections=connections,
            rooms=rooms,
            presence=presence,
            hosting=hosting,
            standing_by=standing_by,
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
            entering=entering,
            doubts=Doubts(hosting, background),
        )
        consumers = Consumers(bus, "signaling_gateway", instance=gateway_id)
        hear_facts(
            consumers,
            SessionFacts(
                connections=connections,
                rooms=rooms,
                presence=presence,
                hosting=hosting,
                standing_by=standing_by,
                entering=entering,
                ice=ice,
            ),
        )
        upkeep = Upkeep(
            bus=bus,
            connections=connections,
            rooms=rooms,
            presence=presence,
            hosting=hosting,
            entering=entering,
            announcer=announcer,
            totals=lambda: totals.own().model_dump_json(),
            unanswered=unanswered,
            ice=ice,
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
            entering=entering,
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
                yield Signaling(sockets, totals, Polling(bus, presence, relay, mailbox), ice, warp_stays)
        finally:
            await hearing.unsubscribe()
            await presence.end()
