"""The OpenAPI document says what there is, as it is, and needs nothing from the internet."""

import re
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest
import schemathesis
from chassis.bus import connect_bus
from contracts.access import Role
from contracts.refusals import Code
from embedded.ports import free_port
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from signaling_gateway.access.permissions import ROUTES
from signaling_gateway.app import service
from signaling_gateway.http.framework.application import application
from signaling_gateway.limits.rates import UNCOUNTED
from signaling_gateway.settings import Settings
from testkit.patience import patient
from testkit.portal import Portal
from testkit.servers import TestServers
from testkit.thoroughness import examples

from services.signaling_gateway.tests.databases import gateway_database
from services.signaling_gateway.tests.rest.owners import OWNERS, Owners
from services.signaling_gateway.tests.rest.routes import CALLS

KEY = "Hn5wQ2rT8yU1iO4pA7sD0fG3hJ6kL9zX-cV"

ENFORCED: dict[str, Any] = {
    "mode": "enforced",
    "jwt_secret_key": "k3Zq9vXw2LmPpR7tYb4NcD8sFh1JgA6uE0iOQ5Wx",
    "coordinator_api_key": KEY,
}


@pytest.fixture(scope="module")
def url(servers: TestServers) -> Iterator[str]:
    """A gateway in open mode."""
    with serving(servers) as url:
        yield url


@pytest.fixture(scope="module")
def enforced_url(servers: TestServers) -> Iterator[str]:
    with serving(servers, **ENFORCED, limits_enabled=False) as url:
        yield url


@contextmanager
def serving(servers: TestServers, **changes: Any) -> Iterator[str]:
    """Run a gateway and its owners on a loop of their own, for clients that block."""
    portal = Portal()
    stack = AsyncExitStack()
    settings = Settings(
        nats_url=servers.nats.url,
        redis_url=servers.redis.url,
        postgres_url=gateway_database(servers),
        http_port=free_port(),
        instance="gateway-1",
        **changes,
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
    return httpx.get(f"{url}/openapi.json", timeout=patient(10)).json()


def test_it_has_the_canonical_paths_and_no_others(document: Any):
    paths = {path for path in document["paths"] if path.startswith("/api")}

    assert all(re.match(r"/api/v1/[^/]", path) and not path.endswith("/") for path in paths)
    outside = {"/", "/.well-known/jwks.json", "/health", "/health/live", "/health/ready", "/metrics"}
    assert set(document["paths"]) - paths == outside


def test_without_an_operation_there_are_only_documents_and_pages():
    found = {getattr(route, "path", "") for route in application([], "1", Path()).routes}

    documents = {"/openapi.json", "/asyncapi.json", "/schemas.json", "/schemas/{message}.json"}
    assert found == documents | {
        "/docs",
        "/docs/files",
        "/docs/messages",
        "/demo",
        "/console",
        "/sdk",
        "/favicon.ico",
        "/llms.txt",
    }


def test_a_browser_finds_an_icon_where_it_looks_for_one(url: str):
    icon = httpx.get(f"{url}/favicon.ico", timeout=patient(10))
    assert (icon.status_code, icon.headers["content-type"]) == (200, "image/svg+xml")
    assert icon.text == httpx.get(f"{url}/console/icon.svg", timeout=patient(10)).text


def test_a_language_model_finds_where_everything_is_at_the_root_of_the_site(url: str, document: Any):
    said = httpx.get(f"{url}/llms.txt", timeout=patient(10))
    links = re.findall(r"\]\((/[^)]*)\)", said.text)
    named = set(re.findall(r"`[A-Z]+ (/[^`?]+)`", said.text))

    assert said.headers["content-type"] == "text/plain; charset=utf-8"
    assert said.text.startswith("# P2P Coordinator\n\n> ")
    assert {"/openapi.json", "/asyncapi.json", "/schemas.json", "/docs", "/docs/messages"} <= set(links)
    assert {link: httpx.get(url + link, timeout=patient(10)).status_code for link in links} == dict.fromkeys(links, 200)
    assert named
    assert named <= document["paths"].keys()


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


def test_it_is_openapi_by_the_specifications_own_schema(url: str, document: Any):
    assert document["openapi"].startswith("3.1.")
    schema_of(url, document).validate()


def operations(document: Any) -> Iterator[tuple[str, Any]]:
    for path, item in document["paths"].items():
        yield from ((f"{method.upper()} {path}", operation) for method, operation in item.items())


def test_every_operation_says_who_may_as_the_table_does(document: Any):
    schemes = document["components"]["securitySchemes"]
    assert schemes["token"]["scheme"] == "bearer"
    assert schemes["key"]["name"] == "X-API-Key"
    for kind, operation in operations(document):
        who = ROUTES[kind].who
        assert operation["x-permissions"] == {role: condition.name.lower() for role, condition in who.items()}
        assert ({} in operation["security"]) is (Role.ANONYMOUS in who), kind
        assert {name for way in operation["security"] for name in way} <= schemes.keys()
        for condition in who.values():
            assert condition.value.rstrip(".") in operation["description"]


def test_every_operation_may_turn_away_and_say_when_to_come_back(document: Any):
    for kind, operation in operations(document):
        assert operation["responses"].keys() >= {"401", "403", "500", "503", "504"}, kind
        for status in {"429", "503", "504"} & operation["responses"].keys():
            assert "Retry-After" in operation["responses"][status]["headers"], kind


def test_an_operation_may_be_asked_too_often_if_it_is_counted(document: Any):
    warned = {kind for kind, operation in operations(document) if "429" in operation["responses"]}

    assert warned == ROUTES.keys() - UNCOUNTED
    assert ROUTES.keys() >= UNCOUNTED


def test_every_body_and_every_answer_is_shown_and_is_what_its_schema_says(document: Any):
    for kind, operation in operations(document):
        if kind == "GET /api/v1/console":  # as much as there is of the suite: its page shows it
            continue
        said = [operation["requestBody"]] if "requestBody" in operation else []
        for about in (*said, *operation["responses"].values()):
            content = about.get("content", {}).get("application/json")
            if content is None:
                continue
            assert content["examples"], kind
            valid = jsonschema_rs.validator_for({**document, **content["schema"]})
            for example in content["examples"].values():
                valid.validate(_resolved(example, document)["value"])


def _resolved(thing: Any, document: Any) -> Any:
    found = document if "$ref" in thing else thing
    for step in thing.get("$ref", "#").split("/")[1:]:
        found = found[step]
    return found


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
                    assert response["content"]["application/json"]["examples"]


def test_operations_have_names_of_their_own(document: Any):
    names = [operation["operationId"] for item in document["paths"].values() for operation in item.values()]

    assert len(names) == len(set(names))


def test_of_two_operations_that_do_the_same_the_summary_says_which_is_for_older_programs(document: Any):
    said = [(*operation["tags"], operation["summary"]) for _, operation in operations(document)]

    by_another_path = {("monitoring", "Whether all is there"), ("monitoring", "Totals and counters for Prometheus")}
    assert {each for each in said if said.count(each) > 1} == by_another_path


def test_its_examples_are_accepted(url: str, document: Any):
    shown = 0
    for path, item in document["paths"].items():
        for method, operation in item.items():
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            for example in body.get("examples", {}).values():
                response = httpx.request(
                    method, url + re.sub(r"\{\w+\}", "x", path), json=example["value"], timeout=patient(10)
                )
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
    page = httpx.get(f"{url}/docs", timeout=patient(10))
    files = re.findall(r'(?:href|src)="([^"]+)"', page.text)

    assert files
    for file in files:
        assert file.startswith("/")
        assert httpx.get(f"{url}{file}", timeout=patient(10)).status_code == 200
    assert "//cdn" not in page.text


def schema_of(url: str, document: Any) -> Any:
    loaded = schemathesis.openapi.from_dict(document)
    loaded.config.update(base_url=url)
    return loaded


CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
"""What the document promises. Whether an identifier is legal it cannot say in full, so acceptance isn't checked."""


# Hypothesis sees `random` used while it draws: by the gateway, which decides about its traces on another thread.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")
def test_whatever_the_document_allows_is_answered_as_it_says(url: str, document: Any):
    exchange_all(url, document)


@pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")
@pytest.mark.parametrize("headers", [{}, {"X-API-Key": KEY}, {"X-API-Key": "bad"}], ids=["nobody", "server", "bad key"])
def test_so_it_is_where_everybody_is_asked_who_they_are(headers: dict[str, str], enforced_url: str, document: Any):
    exchange_all(enforced_url, document, headers)


def exchange_all(url: str, document: Any, headers: dict[str, str] | None = None) -> None:
    for found in schema_of(url, document).get_all_operations():

        @settings(max_examples=examples(4), derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
        @given(case=found.ok().as_strategy())
        def exchange(case: Any) -> None:
            case.call_and_validate(checks=CHECKS, headers=headers)

        exchange()
