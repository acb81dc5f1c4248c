"""The OpenAPI document says what there is, as it is, and needs nothing from the internet."""

import re
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
import schemathesis
from chassis.bus import connect_bus
from contracts.refusals import Code
from embedded.ports import free_port
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from signaling_gateway.app import service
from signaling_gateway.settings import Settings
from testkit.portal import Portal
from testkit.servers import TestServers

from services.signaling_gateway.tests.rest.owners import OWNERS, Owners
from services.signaling_gateway.tests.rest.routes import CALLS


@pytest.fixture(scope="module")
def url(servers: TestServers) -> Iterator[str]:
    """A gateway and its owners on a loop of their own, for clients that block."""
    portal = Portal()
    stack = AsyncExitStack()
    settings = Settings(
        nats_url=servers.nats.url, redis_url=servers.redis.url, http_port=free_port(), instance="gateway-1"
    )

    async def start() -> None:
        bus = await stack.enter_async_context(connect_bus(servers.nats.url, "owners"))
        await stack.enter_async_context(Owners(bus).answering(*OWNERS))
        await stack.enter_async_context(service(settings))

    portal.run(start())
    yield f"http://127.0.0.1:{settings.http_port}"
    portal.run(stack.aclose())
    portal.close()


@pytest.fixture(scope="module")
def document(url: str) -> Any:
    return httpx.get(f"{url}/openapi.json").json()


def test_it_has_the_canonical_paths_and_no_others(document: Any):
    paths = {path for path in document["paths"] if path.startswith("/api")}

    assert all(re.match(r"/api/v1/[^/]", path) and not path.endswith("/") for path in paths)
    assert set(document["paths"]) - paths == {"/", "/health", "/health/live", "/health/ready", "/metrics"}


def test_it_has_every_call(document: Any):
    operations = {
        (method.upper(), re.sub(r"\{\w+\}", "{}", path)) for path, item in document["paths"].items() for method in item
    }
    for call in CALLS:
        words = call.path.partition("?")[0].split("/")
        assert any(
            call.method == method and _fits(words, path.removeprefix("/api/v1").split("/"))
            for method, path in operations
        ), call.id


def _fits(words: list[str], pattern: list[str]) -> bool:
    return len(words) == len(pattern) and all(p in {"{}", word} for word, p in zip(words, pattern, strict=True))


def test_every_operation_tells_its_errors_and_has_a_summary(document: Any):
    for path, item in document["paths"].items():
        for method, operation in item.items():
            assert operation["summary"], (method, path)
            assert "500" in operation["responses"], (method, path)
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    assert "content" in response, (method, path, status, response)
                    schema = response["content"]["application/json"]["schema"]
                    assert schema == {"$ref": "#/components/schemas/Error"}


def test_operations_have_names_of_their_own(document: Any):
    names = [operation["operationId"] for item in document["paths"].values() for operation in item.values()]

    assert len(names) == len(set(names))


def test_its_examples_are_accepted(url: str, document: Any):
    shown = 0
    for path, item in document["paths"].items():
        for method, operation in item.items():
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            for example in body.get("examples", {}).values():
                response = httpx.request(method, url + re.sub(r"\{\w+\}", "x", path), json=example["value"])
                assert response.status_code != 422, (method, path, response.text)
                shown += 1
    assert shown >= 8


def test_the_documented_calls_are_shown_as_they_are_everywhere(document: Any):
    register = document["paths"]["/api/v1/hosts"]["post"]["requestBody"]["content"]["application/json"]["examples"]
    create = document["paths"]["/api/v1/sessions"]["post"]["requestBody"]["content"]["application/json"]["examples"]

    assert register["as documented"]["value"] == {
        "host_id": "host-12345",
        "player_id": "player-67890",
        "player_name": "PlayerOne",
        "cpu_cores": 8,
        "memory_mb": 16384,
        "network_speed_mbps": 1000,
    }
    assert create["as documented"]["value"] == {"host_id": "host-12345", "zone_id": "prontera", "max_players": 50}


def test_every_code_is_in_it(document: Any):
    assert document["components"]["schemas"]["Code"]["enum"] == [code.value for code in Code]


def test_the_page_of_the_document_needs_nothing_from_elsewhere(url: str):
    page = httpx.get(f"{url}/docs")
    files = re.findall(r'(?:href|src)="([^"]+)"', page.text)

    assert files
    for file in files:
        assert file.startswith("/")
        assert httpx.get(f"{url}{file}").status_code == 200
    assert "//cdn" not in page.text


@pytest.fixture(scope="module")
def schema(url: str, document: Any) -> Any:
    loaded = schemathesis.openapi.from_dict(document)
    loaded.config.update(base_url=url)
    return loaded


CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
"""What the document promises. Whether an identifier is legal it cannot say in full, so acceptance isn't checked."""


# Hypothesis sees `random` used while it draws: by the gateway, which decides about its traces on another thread.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")
def test_whatever_the_document_allows_is_answered_as_it_says(schema: Any):
    for found in schema.get_all_operations():

        @settings(max_examples=10, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
        @given(case=found.ok().as_strategy())
        def exchange(case: Any) -> None:
            case.call_and_validate(checks=CHECKS)

        exchange()
