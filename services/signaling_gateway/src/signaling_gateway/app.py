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
from chassis.sampling import Sampling

from signaling_gateway.http.application import application
from signaling_gateway.http.edge import edge
from signaling_gateway.http.hosts import host_routes
from signaling_gateway.http.monitoring import Monitoring, monitoring_routes
from signaling_gateway.http.root import root_route
from signaling_gateway.http.routing import Routes
from signaling_gateway.http.sessions import session_routes
from signaling_gateway.http.signaling import signaling_routes
from signaling_gateway.http.zones import zone_routes
from signaling_gateway.ice import IceServers
from signaling_gateway.roster import Roster
from signaling_gateway.sampling import edge_sampling
from signaling_gateway.settings import Settings
from signaling_gateway.signaling import open_signaling
from signaling_gateway.sockets import sampling_of_frames
from signaling_gateway.wire import UVICORN_OPTIONS, Wire

NAME = "signaling_gateway"

PING_EVERY = timedelta(seconds=5)


@asynccontextmanager
async def service(settings: Settings) -> AsyncIterator[None]:
    """Serve until the block ends, then let what is in flight finish."""
    web = Path(str(files(NAME) / "web"))
    version = release_of(NAME)
    health = Health()
    ice_servers = IceServers(settings.stun_servers, settings.turn_servers, settings.turn_secret)
    async with (
        connect_bus(settings.nats_url, settings.instance) as bus,
        open_redis(settings.redis_url) as redis,
        open_signaling(
            bus=bus,
            redis=redis,
            health=health,
            ice=ice_servers,
            sampling=Sampling(sampling_of_frames()),
            origins=settings.cors_origins,
        ) as signaling,
    ):
        health.watch("nats", lambda: bus.connected)
        health.watch("redis", redis.answers)
        roster = Roster(bus)
        await roster.listen()
        monitoring = Monitoring(
            bus=bus, redis=redis, roster=roster, health=health, sockets=signaling.figures.all, version=version
        )
        routes = [
            *host_routes(bus),
            *zone_routes(bus),
            *session_routes(bus, ice_servers),
            *signaling_routes(signaling.correspondence, signaling.figures, ice_servers),
            *monitoring_routes(monitoring),
            root_route(bus, web / "index.html", version, p2p_enabled=settings.enable_p2p),
        ]
        app = edge(
            application(routes, version, web),
            Routes(routes),
            signaling.sockets,
            edge_sampling(routes),
            settings.cors_origins,
        )
        async with (
            Responder(bus, NAME, version, instance=settings.instance),  # answers $SRV.*
            every(PING_EVERY, roster.ping, "roster"),
            serve_http(
                app,
                settings.http_host,
                settings.http_port,
                websockets=Wire,
                http="httptools",
                proxy_headers=False,  # the client is who holds the socket, whatever it says of itself
                timeout_keep_alive=75,
                **UVICORN_OPTIONS,
            ),
            signaling.serving(),
        ):
            with health.serving():
                yield
