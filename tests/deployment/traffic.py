"""Players, hosts and operators who go on while processes come and go, and what they were told.

A caller does as docs/deployment.md says: it keeps to one gateway, and when a connection to that fails, asks another.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from itertools import count
from typing import Any

import httpx
from chassis.bus import Bus, connect_bus
from chassis.refusals import ServiceError
from chassis.requests import call
from contracts.jobs import LIST_JOBS
from contracts.subjects import Nothing
from testkit.clients import http_client
from testkit.eventually import eventually
from testkit.patience import patient
from testkit.tasks import end

from services.signaling_gateway.tests.signaling.client import Peer, joined, leaving
from tests.deployment.fleet import Fleet

ANSWERED_WITHIN = timedelta(seconds=patient(10))
"""Longer than the 4 s within which every answer comes, on a machine that does much else."""

WAITS_S = 0.02
"""Between one call and the next of its kind: steady, and some of the machine left for processes that start."""

HOST = {"player_name": "n", "cpu_cores": 8, "memory_mb": 16384, "network_speed_mbps": 1000, "max_zones": 100}
ZONE = {"zone_name": "Z", "zone_display_name": "Z", "map_name": "z", "min_host_quality_score": 0}


class Caller:
    """A client of the REST API."""

    def __init__(self, http: httpx.AsyncClient, fleet: Fleet) -> None:
        self._http = http
        self._fleet = fleet
        self._gateway = fleet.gateways[0]
        self.moves = 0
        """How often it had to turn to another gateway."""
        self.failed: list[str] = []

    def turn_to(self, gateway: str) -> None:
        self._gateway = gateway

    async def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """The answer; what is no success is kept among the failed."""
        gateway = self._gateway
        try:
            answer = await self._http.request(method, f"{gateway}/api/v1{path}", json=body)
        except httpx.TransportError:
            others = [other for other in self._fleet.gateways if other != gateway]
            if not others:
                raise
            self.moves += 1
            self._gateway = others[-1]
            answer = await self._http.request(method, f"{self._gateway}/api/v1{path}", json=body)
        if not answer.is_success:
            self.failed.append(f"{method} {path}: {answer.status_code} {answer.text}")
        told: dict[str, Any] = answer.json() if answer.content else {}
        return told


class Traffic:
    """Calls of every kind, one after the other in each; made by `flowing`."""

    def __init__(self, caller: Caller, bus: Bus, name: str) -> None:
        self._caller = caller
        self._bus = bus
        self._name = name
        self.done: Counter[str] = Counter()
        """How often each kind of call has been made."""
        self.failed = caller.failed
        self.session = ""

    @property
    def moves(self) -> int:
        return self._caller.moves

    def turn_to(self, gateway: str) -> None:
        self._caller.turn_to(gateway)

    async def ask(self, method: str, path: str) -> dict[str, Any]:
        return await self._caller.ask(method, path)

    async def begin(self) -> None:
        """A host, a zone, and a session with room."""
        name = self._name
        host = {**HOST, "host_id": name, "player_id": name, "max_players": 1000, "accepts_probes": True}
        await self._caller.ask("POST", "/hosts/register", host)
        await self._caller.ask("POST", "/zones", {**ZONE, "zone_id": name, "max_players": 1000})
        made = await self._caller.ask("POST", "/sessions", {"zone_id": name, "host_id": name})
        self.session = made["session_id"]

    async def goes_on(self, times: int = 10) -> None:
        """Return when each kind of call has been made so often from now on."""
        wanted = {kind: self.done[kind] + times for kind in self.kinds}
        await eventually(
            lambda: all(self.done[kind] >= number for kind, number in wanted.items()),
            within=60,
            of=f"{times} more calls of each kind than {dict(self.done)}",
        )

    @property
    def kinds(self) -> dict[str, Callable[[int], Awaitable[None]]]:
        return {
            "beat": self._beat,
            "register": self._register,
            "enter and leave": self._enter_and_leave,
            "read zone": self._read_zone,
            "read session": self._read_session,
            "create and end": self._create_and_end,
            "list jobs": self._list_jobs,
        }

    async def run(self, kind: str) -> None:
        for number in count():
            await self.kinds[kind](number)
            self.done[kind] += 1
            await asyncio.sleep(WAITS_S)

    async def _beat(self, _number: int) -> None:
        await self._caller.ask("POST", f"/hosts/{self._name}/heartbeat", {"latency_ms": 12})

    async def _register(self, number: int) -> None:
        host_id = f"{self._name}-{number}"
        await self._caller.ask("POST", "/hosts/register", {**HOST, "host_id": host_id, "player_id": host_id})
        await self._caller.ask("DELETE", f"/hosts/{host_id}")

    async def _enter_and_leave(self, number: int) -> None:
        player = f"{self._name}-player-{number}"
        entered = await self._caller.ask("POST", "/sessions/join", {"zone_id": self._name, "peer_id": player})
        if "session_id" in entered:
            await self._caller.ask("POST", "/sessions/leave", {"peer_id": player})

    async def _read_zone(self, _number: int) -> None:
        await self._caller.ask("GET", f"/zones/{self._name}")

    async def _read_session(self, _number: int) -> None:
        await self._caller.ask("GET", f"/sessions/{self.session}")

    async def _create_and_end(self, _number: int) -> None:
        made = await self._caller.ask("POST", "/sessions", {"zone_id": self._name, "host_id": self._name})
        if "session_id" in made:
            await self._caller.ask("POST", f"/sessions/{made['session_id']}/end")

    async def _list_jobs(self, _number: int) -> None:
        try:
            await call(self._bus, LIST_JOBS, Nothing(), deadline=ANSWERED_WITHIN)
        except ServiceError as error:
            self.failed.append(f"list jobs: {error.refusal}")


@asynccontextmanager
async def flowing(fleet: Fleet, name: str) -> AsyncIterator[Traffic]:
    """Traffic around a host and zone of this name, until the block ends."""
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(http_client())
        bus = await stack.enter_async_context(connect_bus(fleet.servers.nats.url, "traffic"))
        traffic = Traffic(Caller(http, fleet), bus, name)
        await traffic.begin()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(traffic.run(kind), name=kind) for kind in traffic.kinds]
            try:
                yield traffic
            finally:
                for task in tasks:
                    await end(task)


class Pair:
    """Two players of a session, who send one another signals in turn."""

    def __init__(self, one: Peer, other: Peer) -> None:
        self._peers = (one, other)
        self.heard = 0

    async def talk(self) -> None:
        """Each signal must arrive before the next is sent."""
        for number in count():
            here, there = self._peers if number % 2 else reversed(self._peers)
            await here.say("offer", to=there.name, sdp=str(number))
            offer = await there.hear_until("offer")
            assert (offer["from"], offer["sdp"]) == (here.name, str(number))
            self.heard += 1
            await asyncio.sleep(WAITS_S)


@asynccontextmanager
async def talking(here: str, there: str, session: str) -> AsyncIterator[Pair]:
    """A pair that talks until the block ends, `anna` at the gateway `here`, `berta` at the gateway `there`."""
    anna, berta = await joined(here, "anna", session), await joined(there, "berta", session)
    pair = Pair(anna, berta)
    async with leaving(anna, berta), asyncio.TaskGroup() as group:
        talk = group.create_task(pair.talk())
        yield pair
        await end(talk)
