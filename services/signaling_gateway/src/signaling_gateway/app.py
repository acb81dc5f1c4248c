"""signaling_gateway, put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from importlib.resources import files
from pathlib import Path

from chassis.bus import connect_bus
from chassis.health import Health
from chassis.http import serve_http
from chassis.loops import every
from chassis.process import release_of
from chassis.redis import open_redis
from chassis.responder import Responder
from starlette.types import Receive, Scope, Send

from signaling_gateway.dashboard import JoinsPart, SignalingPart, SocketsSeen
from signaling_gateway.http.application import application
from signaling_gateway.http.edge import edge
from signaling_gateway.http.hosts import host_routes
from signaling_gateway.http.monitoring import Monitoring, monitoring_routes
from signaling_gateway.http.root import root_route
from signaling_gateway.http.routing import Routes
from signaling_gateway.http.sessions import session_routes
from signaling_gateway.http.zones import zone_routes
from signaling_gateway.ice import IceServers
from signaling_gateway.roster import Roster
from signaling_gateway.sampling import edge_sampling
from signaling_gateway.settings import Settings

NAME = "signaling_gateway"

PING_EVERY = timedelta(seconds=5)


async def _no_sockets() -> SocketsSeen:
    return SocketsSeen(
        signaling=SignalingPart(active_connections=0, active_sessions=0),
        joins=JoinsPart(begun=0, direct=0, relayed=0, failed=0, p50_ms=None, p95_ms=None),
    )


async def _closed(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "websocket.close"})


@asynccontextmanager
async def service(settings: Settings) -> AsyncIterator[None]:
    """Serve until the block ends, then let what is in flight finish."""
    web = Path(str(files(NAME) / "web"))
    version = release_of(NAME)
    health = Health()
    async with (
        connect_bus(settings.nats_url, settings.instance) as bus,
        open_redis(settings.redis_url) as redis,
    ):
        health.watch("nats", lambda: bus.connected)
        health.watch("redis", redis.answers)
        ice_servers = IceServers(settings.stun_servers, settings.turn_servers, settings.turn_secret)
        roster = Roster(bus)
        await roster.listen()
        monitoring = Monitoring(
            bus=bus, redis=redis, roster=roster, health=health, sockets=_no_sockets, version=version
        )
        routes = [
            *host_routes(bus),
            *zone_routes(bus),
            *session_routes(bus, ice_servers),
            *monitoring_routes(monitoring),
            root_route(bus, web / "index.html", version, p2p_enabled=settings.enable_p2p),
        ]
        app = edge(
            application(routes, version, web),
            Routes(routes),
            _closed,
            edge_sampling(routes, frames={}),
            settings.cors_origins,
        )
        async with (
            Responder(bus, NAME, version, instance=settings.instance),  # answers $SRV.*
            every(PING_EVERY, roster.ping, "roster"),
            serve_http(
                app,
                settings.http_host,
                settings.http_port,
                websockets="websockets-sansio",
                http="httptools",
                timeout_keep_alive=75,
            ),
        ):
            with health.serving():
                yield
