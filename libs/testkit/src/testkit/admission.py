"""How tests get into a suite that asks who calls: keys, tokens and credentials; where nobody asks, nothing is shown."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import nats
from contracts.access import CREATE_KEY, CreateKey, KeyCreated, KeyRole, Role
from contracts.credentials import inbox_prefix
from contracts.grants import GAME_SERVER, OPERATOR, PROCESSES, Grant
from embedded.nats_accounts import BOOK, Accounts
from embedded.nats_jwt import Key, Kind, credentials, token
from embedded.plan import Mode
from embedded.secrets import nats_directory
from nats.aio.client import Client

from testkit.clients import http_client
from testkit.eventually import eventually
from testkit.patience import patient
from testkit.suites import RunningSuite

OWNER = "owner"


async def key_for(suite: RunningSuite, role: KeyRole = Role.SERVER) -> str:
    """An API key of a suite in enforced mode, made once for each role; all gateways know it."""
    if role not in suite.keys:
        wish = CreateKey(role=role, name=f"the tests' {role}").model_dump_json().encode()
        async with on_nats(suite, OPERATOR) as operator:
            answer = await operator.request(CREATE_KEY.subject, wish, timeout=patient(10))
        key = KeyCreated.model_validate_json(answer.data).key
        await known_everywhere(suite, {"X-API-Key": key})
        suite.keys[role] = key
    return suite.keys[role]


async def headers_for(suite: RunningSuite, role: KeyRole = Role.SERVER) -> dict[str, str]:
    """What a game's server, or an operator, sends with each request."""
    return {} if suite.mode is Mode.OPEN else {"X-API-Key": await key_for(suite, role)}


async def known_everywhere(suite: RunningSuite, headers: dict[str, str]) -> None:
    """Wait until every gateway has heard of a new key."""
    async with http_client() as client:
        for gateway in suite.gateways:
            await eventually(lambda gateway=gateway: _knows(client, gateway, headers))  # type: ignore[misc]


async def _knows(client: httpx.AsyncClient, gateway: str, headers: dict[str, str]) -> bool:
    return (await client.get(f"{gateway}/api/v1/hosts", headers=headers)).is_success


async def bearer_for(suite: RunningSuite, **wish: Any) -> dict[str, str]:
    """What a player sends, or with `role` and `host_id` a host: a token that the game's server has asked for."""
    if suite.mode is Mode.OPEN:
        return {}
    async with http_client(base_url=suite.gateways[0], headers=await headers_for(suite)) as server:
        response = await server.post("/api/v1/auth/token", json=wish)
        assert response.is_success, response.text
        return {"Authorization": f"Bearer {response.json()['token']}"}


@asynccontextmanager
async def on_nats(suite: RunningSuite, role: Grant = GAME_SERVER) -> AsyncIterator[Client]:
    """A plain client in the part of a game server, an AI server of all zones, an operator, or one of our processes."""
    async with _connected(suite, role.name, _credentials_of(suite, role)) as client:
        yield client


@asynccontextmanager
async def owning_nats(suite: RunningSuite) -> AsyncIterator[Client]:
    """A client that hears everything, whatever is granted to whom: whoever has the account's own seed can be one."""
    async with _connected(suite, OWNER, _credentials_of_owner(suite)) as client:
        yield client


@asynccontextmanager
async def _connected(suite: RunningSuite, name: str, creds: Path | None) -> AsyncIterator[Client]:
    prefix = inbox_prefix(name) if creds else "_INBOX"
    client = await nats.connect(suite.nats, user_credentials=creds, inbox_prefix=prefix)
    try:
        yield client
    finally:
        await client.close()


def _credentials_of(suite: RunningSuite, role: Grant) -> Path | None:
    if suite.mode is Mode.OPEN:
        return None
    if role in PROCESSES:
        return nats_directory(suite.data_dir) / f"{role.name}.creds"
    return Accounts(nats_directory(suite.data_dir)).credentials_of(role.name, role.name)


def _credentials_of_owner(suite: RunningSuite) -> Path | None:
    if suite.mode is Mode.OPEN:
        return None
    book = json.loads((nats_directory(suite.data_dir) / BOOK).read_text())
    user = Key.made(Kind.USER)
    about = {"type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1}
    vouched = token(Key(book["account"]), user.public, OWNER, about, issued_at=book["made_at"])
    path = suite.data_dir / f"{OWNER}.creds"
    path.write_text(credentials(vouched, user))
    return path
