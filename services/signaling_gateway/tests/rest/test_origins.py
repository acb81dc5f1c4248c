"""Web pages of other origins may call when the settings name them."""

from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from embedded.ports import free_port
from signaling_gateway.app import service
from signaling_gateway.settings import Settings
from testkit.clients import http_client

PAGE = "https://game.example"


@pytest_asyncio.fixture
async def client(nats_url: str, redis_url: str, postgres_url: str) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings(
        nats_url=nats_url,
        redis_url=redis_url,
        postgres_url=postgres_url,
        http_port=free_port(),
        cors_origins=(PAGE,),
    )
    async with service(settings), http_client(base_url=f"http://127.0.0.1:{settings.http_port}") as client:
        yield client


def asking(origin: str) -> dict[str, str]:
    return {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,idempotency-key",
    }


async def test_a_preflight_is_answered_before_anything(client: httpx.AsyncClient):
    response = await client.options("/api/hosts/", headers=asking(PAGE))

    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == PAGE
    assert "idempotency-key" in response.headers["access-control-allow-headers"].lower()


async def test_a_strangers_preflight_is_refused(client: httpx.AsyncClient):
    response = await client.options("/api/v1/hosts", headers=asking("https://evil.example"))

    assert response.status_code == 400
    assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize("path", ["/health/live", "/api/v1/hosts", "/nowhere"])
async def test_answers_of_every_kind_may_be_read(path: str, client: httpx.AsyncClient):
    response = await client.get(path, headers={"Origin": PAGE})

    assert response.headers["access-control-allow-origin"] == PAGE
    assert "Link" in response.headers["access-control-expose-headers"]
