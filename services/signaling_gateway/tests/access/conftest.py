"""Two gateways in enforced mode on one database, in front of owners that say what the test wants."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib.resources import files
from itertools import count
from typing import Any

import httpx
import pytest
import pytest_asyncio
from chassis.bus import Bus, connect_bus
from chassis.clock import SystemClock
from chassis.database import open_database
from chassis.health import Health
from chassis.redis import open_redis
from chassis.requests import call
from contracts.access import CREATE_KEY, AuditFact, CreateKey, KeyCreated, KeyRole, Role
from contracts.streams import AUDIT
from embedded.ports import free_port
from signaling_gateway.access.auditing import Audit
from signaling_gateway.access.opening import Access, open_access
from signaling_gateway.app import service
from signaling_gateway.http.framework.gate import Gate, sessions_of
from signaling_gateway.limits.turnstile import open_turnstile
from signaling_gateway.settings import Settings
from testkit.clients import http_client
from testkit.eventually import eventually
from testkit.patience import patient
from testkit.servers import TestServers

from services.signaling_gateway.tests.rest.owners import OWNERS, Owners

SECRET = "k3Zq9vXw2LmPpR7tYb4NcD8sFh1JgA6uE0iOQ5Wx"
KEY_IN_SETTINGS = "Hn5wQ2rT8yU1iO4pA7sD0fG3hJ6kL9zX-cV"
WARP_IDS = "9[0-9]{5}"

MIGRATIONS = files("signaling_gateway") / "migrations"

_NUMBERS = count(1)


@dataclass
class World:
    """What a test needs to be anybody it likes."""

    settings: Settings
    bus: Bus
    owners: Owners
    here: httpx.AsyncClient
    there: httpx.AsyncClient
    server: dict[str, str]
    operator: dict[str, str]
    gate: Gate
    """As those of the gateways are."""
    audit: Audit
    """Of a third that shares their database."""

    async def key(self, role: KeyRole) -> KeyCreated:
        """Have a key made by either gateway, and known to both."""
        made = await call(self.bus, CREATE_KEY, CreateKey(role=role))
        for gateway in (self.here, self.there):
            await eventually(lambda gateway=gateway: _knows(gateway, made.key))  # type: ignore[misc]
        return made

    async def tokens(self, **wish: Any) -> dict[str, Any]:
        """Have a token made, with a server's key."""
        response = await self.here.post("/api/v1/auth/token", json=wish, headers=self.server)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    async def player(self, peer_id: str) -> dict[str, str]:
        return bearer((await self.tokens(player_id=peer_id))["token"])

    async def host(self, host_id: str) -> dict[str, str]:
        return bearer((await self.tokens(player_id="owner", role="host", host_id=host_id))["token"])


async def _knows(gateway: httpx.AsyncClient, key: str) -> bool:
    return (await gateway.get("/api/v1/zones", headers=as_key(key))).status_code == 200


async def audited(bus: Bus) -> list[AuditFact]:
    """All that is on record."""
    jetstream = bus.client.jetstream(timeout=patient(5))
    records = await jetstream.subscribe("p2p.events.audit.>", stream=AUDIT.name, ordered_consumer=True)
    found: list[AuditFact] = []
    try:
        for _ in range((await jetstream.stream_info(AUDIT.name)).state.messages):
            message = await records.next_msg(timeout=patient(5))
            found.append(AuditFact.model_validate_json(message.data))
    finally:
        await records.unsubscribe()
    return found


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def as_key(key: str) -> dict[str, str]:
    return {"X-API-Key": key}


def enforced(servers: TestServers, database: str, **changes: Any) -> Settings:
    """The settings of a gateway that asks everybody."""
    given: dict[str, Any] = {"mode": "enforced", "jwt_secret_key": SECRET, "coordinator_api_key": KEY_IN_SETTINGS}
    given |= {"nats_url": servers.nats.url, "redis_url": servers.redis.url, "postgres_url": database}
    given |= {"warp_anonymous": True, "warp_peer_ids": WARP_IDS, "http_port": free_port()}
    given |= {"limits_enabled": False}  # all that a module asks comes from one address
    return Settings(**(given | changes))


def _client(settings: Settings) -> httpx.AsyncClient:
    return http_client(base_url=f"http://127.0.0.1:{settings.http_port}")


@asynccontextmanager
async def _access(bus: Bus, settings: Settings) -> AsyncIterator[Access]:
    async with (
        open_database(
            settings.postgres_url, name="tests", migrations=files("signaling_gateway") / "migrations"
        ) as found,
        open_access(
            bus=bus, database=found, health=Health(), clock=SystemClock(), rules=settings.access_rules
        ) as access,
    ):
        yield access


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(servers: TestServers) -> AsyncIterator[World]:
    database = servers.new_database()
    async with AsyncExitStack() as stack:
        bus = await stack.enter_async_context(connect_bus(servers.nats.url, "world"))
        owners = Owners(bus)
        await stack.enter_async_context(owners.answering(*OWNERS))
        settings, other = enforced(servers, database), enforced(servers, database, instance="other")
        await stack.enter_async_context(service(settings))
        await stack.enter_async_context(service(other))
        here = await stack.enter_async_context(_client(settings))
        there = await stack.enter_async_context(_client(other))
        access = await stack.enter_async_context(_access(bus, settings))
        redis = await stack.enter_async_context(open_redis(settings.redis_url))
        turnstile = await stack.enter_async_context(
            open_turnstile(redis=redis, health=Health(), rates=settings.rates, patience=timedelta(seconds=1))
        )
        gate = Gate(access.doorman, turnstile, access.audit, sessions_of(bus))
        made = World(settings, bus, owners, here, there, {}, {}, gate, access.audit)
        made.server = as_key((await made.key(Role.SERVER)).key)
        made.operator = as_key((await made.key(Role.OPERATOR)).key)
        yield made
    servers.drop_database(database)


@pytest.fixture(autouse=True)
def _forgetful(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "world" in request.fixturenames:
        request.getfixturevalue("world").owners.forget()


@pytest.fixture
def peer() -> str:
    """A name that no other test uses."""
    return f"peer-{next(_NUMBERS)}"


@pytest.fixture
def digits() -> str:
    """A name that a client without a key may have, and no other test uses."""
    return str(900_000 + next(_NUMBERS))
