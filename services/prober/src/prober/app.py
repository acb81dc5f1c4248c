"""prober, put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from chassis.bus import connect_bus
from chassis.clock import SystemClock
from chassis.health import serve_health
from chassis.loops import running
from chassis.process import release_of
from chassis.responder import Responder

from prober.exchange import Exchange
from prober.loops import looking
from prober.probe import WebRtc, stun_servers
from prober.rounds import Rounds
from prober.settings import Settings

NAME = "prober"


@asynccontextmanager
async def service(settings: Settings) -> AsyncIterator[None]:
    """Run prober for the length of the block."""
    async with (
        serve_health(settings.http_host, settings.http_port) as health,
        connect_bus(settings.nats_url, settings.instance, settings.nats_creds) as bus,
    ):
        health.watch("nats", lambda: bus.connected)
        servers = stun_servers(settings.stun_servers)
        way = WebRtc(Exchange(bus, servers), servers, settings.addresses)
        rounds = Rounds(bus, way, SystemClock(), prober=settings.instance, at_once=settings.at_once)
        loop = looking(rounds, settings.look_every)
        health.watch_loop(loop)
        responder = Responder(bus, NAME, release_of(NAME), instance=settings.instance)  # answers $SRV.*
        async with responder, rounds, running(loop):
            with health.serving():
                yield
