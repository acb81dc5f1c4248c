"""Every row of the permission table, by every role: who may is let through, who may not is turned away."""

from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import httpx
import pytest
from contracts.access import Role
from contracts.sessions import Session
from signaling_gateway.access.errors import UnauthenticatedError
from signaling_gateway.access.identity import ANYBODY
from signaling_gateway.access.permissions import (
    ALWAYS,
    FRAMES,
    HOSTS_IT,
    LOOPBACK,
    MEMBER,
    OF_SESSIONS,
    ROUTES,
    Condition,
    WithoutPermissionError,
    permission_of,
)
from signaling_gateway.http.framework.exchange import Answer, Request
from signaling_gateway.http.framework.gate import SHOW_WHO
from signaling_gateway.http.framework.routing import Route

from services.signaling_gateway.tests.access.conftest import World
from services.signaling_gateway.tests.rest.owners import example
from services.signaling_gateway.tests.rest.routes import HOST, METRICS, ZONE

pytestmark = pytest.mark.asyncio(loop_scope="module")

SESSION = "session-0123456789abcdef"
OWN, OTHERS = "own-1", "others-1"
"""A peer's and a host's name at once."""

BODIES: dict[str, Any] = {
    "POST /api/v1/hosts": HOST | {"host_id": "{name}"},
    "POST /api/v1/hosts/register": HOST | {"host_id": "{name}"},
    "PATCH /api/v1/hosts/{host_id}": {"region": "eu"},
    "POST /api/v1/zones": ZONE,
    "PATCH /api/v1/zones/{zone_id}": {"description": "x"},
    "PATCH /api/v1/zones/{zone_id}/status": {"status": "enabled"},
    "POST /api/v1/sessions": {"zone_id": "prontera"},
    "POST /api/v1/sessions/join": {"zone_id": "prontera", "peer_id": "{name}"},
    "POST /api/v1/sessions/leave": {"peer_id": "{name}"},
    "PATCH /api/v1/sessions/{session}/metrics": METRICS,
    "POST /api/v1/sessions/{session}/players": {"player_id": "{name}"},
    "POST /api/v1/signaling/offer": {"session_id": SESSION, "peer_id": "{name}", "sdp": "v=0"},
    "POST /api/v1/signaling/answer": {"session_id": SESSION, "peer_id": "{name}", "sdp": "v=0"},
    "POST /api/v1/signaling/ice-candidate": {"session_id": SESSION, "peer_id": "{name}", "candidate": "c"},
    "POST /api/v1/auth/keys": {"role": "server"},
}
QUERIES = {
    "PUT /api/v1/sessions/{session}/checkpoint": "?epoch=1&sequence=1",
    "GET /api/v1/signaling/offer/{session_id}": "?peer_id={name}",
    "GET /api/v1/signaling/answer/{session_id}": "?peer_id={name}",
    "GET /api/v1/signaling/ice-candidates/{session_id}": "?peer_id={name}",
    "GET /api/v1/signaling/ice-servers": "?peer_id={name}",
}
FIGURES = {"GET /metrics", "GET /api/v1/monitoring/metrics"}
"""For everybody on this machine, where all tests are; who is elsewhere has a test of its own."""

OPEN = {"GET /", "GET /.well-known/jwks.json", "GET /health", "GET /health/live", "GET /health/ready"}
OPEN |= {"GET /api/v1/monitoring/dashboard", "GET /api/v1/monitoring/health"}
OPEN |= {"POST /api/v1/auth/token", "POST /api/v1/auth/login", "POST /api/v1/auth/refresh"}
"""As the contract has it, and no more."""

OPEN_FRAMES = {"ping", "ice-candidate"}

ALSO_FOR_TOKENS = {kind for kind, permission in ROUTES.items() if permission.asks_for_token}
"""They take no token for who one is: test_issuing.py."""


@dataclass(frozen=True)
class Case:
    kind: str
    role: Role
    name: str
    """What the request names."""
    condition: Condition | None

    @property
    def admitted(self) -> bool:
        return self.condition is not None and (self.condition in {ALWAYS, LOOPBACK} or self.name == OWN)

    @property
    def id(self) -> str:
        return f"{self.kind} by {self.role} for {self.name}"


def cases() -> Iterator[Case]:
    for kind, permission in ROUTES.items():
        for role in Role:
            condition = permission.condition(role, enforced=True)
            names = (OWN,) if condition in {None, ALWAYS, LOOPBACK} else (OWN, OTHERS)
            if kind not in ALSO_FOR_TOKENS:
                yield from (Case(kind, role, name, condition) for name in names)


def named(text: Any, name: str) -> Any:
    if isinstance(text, dict):
        return {key: named(value, name) for key, value in text.items()}
    return text.replace("{name}", name) if isinstance(text, str) else text


def session(case: Case) -> bytes:
    """A session to which who asks is what the case says."""
    changes: dict[Condition, dict[str, Any]] = {
        MEMBER: {"connected_players": (case.name,)},
        HOSTS_IT: {"host_id": case.name},
    }
    changed = changes.get(case.condition or ALWAYS, {})
    if case.role is Role.HOST and case.condition in OF_SESSIONS:
        changed = {"host_id": case.name}
    found = Session.model_validate_json(example(Session)).model_copy(update=changed)
    return found.model_dump_json().encode()


def turned_away(response: httpx.Response, role: Role) -> bool:
    """Whether the table has refused, in words that say what to do."""
    told = [condition.value for condition in Condition if condition is not ALWAYS]
    if role is Role.ANONYMOUS:
        return response.status_code == HTTPStatus.UNAUTHORIZED and response.json()["detail"] == SHOW_WHO
    told.append(f"A {role} may not do this.")
    return response.status_code == HTTPStatus.FORBIDDEN and response.json()["detail"] in told


async def headers_of(world: World, role: Role) -> dict[str, str]:
    match role:
        case Role.ANONYMOUS:
            return {}
        case Role.PLAYER:
            return await world.player(OWN)
        case Role.HOST:
            return await world.host(OWN)
        case Role.SERVER:
            return world.server
        case Role.OPERATOR:
            return world.operator


CASES = list(cases())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
async def test_each_row_lets_in_whom_it_names_and_nobody_else(case: Case, world: World):
    method, path = case.kind.split()
    path = path.replace("{session}", SESSION).replace("{session_id}", SESSION).replace("{zone_id}", "prontera")
    path = path.replace("{key_id}", "k-none")
    if case.kind.endswith("/kick"):
        path = path.replace("{peer_id}", "somebody-else")
    for identifier in ("{host_id}", "{player_id}", "{peer_id}"):
        path = path.replace(identifier, case.name)
    world.owners.replies["p2p.sessions.get"] = session(case)
    url = path + named(QUERIES.get(case.kind, ""), case.name)

    headers = await headers_of(world, case.role)
    response = await world.here.request(method, url, json=named(BODIES.get(case.kind), case.name), headers=headers)

    assert turned_away(response, case.role) is not case.admitted, response.text
    asked = [question.subject for question in world.owners.questions]
    if case.admitted:
        assert response.status_code != HTTPStatus.UNPROCESSABLE_ENTITY, response.text
    else:
        assert asked == (["p2p.sessions.get"] if case.condition in OF_SESSIONS else [])


@pytest.mark.parametrize(
    "query, status, code",
    [("epoch=1&sequence=9", 409, "stale_epoch"), ("epoch=2&sequence=9", 403, "forbidden"), ("", 403, "forbidden")],
)
async def test_a_host_of_an_earlier_epoch_is_told_who_has_taken_over(world: World, query: str, status: int, code: str):
    now = Session.model_validate_json(example(Session)).model_copy(update={"host_id": OTHERS, "epoch": 2})
    world.owners.replies["p2p.sessions.get"] = now.model_dump_json().encode()

    response = await world.here.put(
        f"/api/v1/sessions/{SESSION}/checkpoint?{query}", content=b"of mine", headers=await world.host(OWN)
    )

    assert (response.status_code, response.json()["code"]) == (status, code)
    if code == "stale_epoch":
        assert response.json()["fields"] == {"session_id": now.session_id, "host_id": OTHERS, "epoch": 2}
    assert [question.subject for question in world.owners.questions] == ["p2p.sessions.get"]


async def test_a_route_without_a_row_cannot_be_made():
    with pytest.raises(WithoutPermissionError, match="GET /api/v1/new has no row"):
        permission_of("GET /api/v1/new")
    with pytest.raises(WithoutPermissionError, match="GET /api/v1/new has no row"):
        Route("GET", "/api/v1/new", _answers, summary="New", tag="hosts")


async def _answers(_request: Request) -> Answer:
    return Answer()


async def test_the_table_has_no_row_without_a_route(world: World):
    document = (await world.here.get("/openapi.json")).json()
    served = {f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item}

    assert served == ROUTES.keys()


async def test_each_row_turns_somebody_away_but_for_what_is_open_to_everybody():
    for kind in ROUTES:
        turned_away = [case for case in CASES if case.kind == kind and not case.admitted]
        assert bool(turned_away) is (kind not in OPEN), kind
    assert ROUTES.keys() >= OPEN | FIGURES
    for kind, roles in FRAMES.items():
        assert (roles == {Role.PLAYER, Role.HOST, Role.ANONYMOUS}) is (kind in OPEN_FRAMES), kind


@pytest.mark.parametrize("kind", sorted(OPEN | FIGURES))
async def test_what_is_open_to_everybody_is_not_for_who_shows_what_is_no_good(kind: str, world: World):
    method, path = kind.split()
    world.owners.forget()

    response = await world.here.request(method, path, json={"player_id": OWN}, headers={"X-API-Key": "p2p_server_x"})

    assert (response.status_code, response.json()["code"]) == (401, "unauthenticated")
    assert world.owners.questions == []


@pytest.mark.parametrize("kind", sorted(FIGURES))
async def test_figures_are_for_this_machine_and_for_who_shows_a_key(kind: str, world: World):
    loopback, elsewhere = _scope("127.0.0.1"), _scope("192.0.2.7")
    gate, permission = world.gate, permission_of(kind)

    assert (await gate.admit(loopback, kind, permission, {})).identity is ANYBODY
    with pytest.raises(UnauthenticatedError):
        await gate.admit(elsewhere, kind, permission, {})
    shown = _scope("192.0.2.7", (b"x-api-key", world.server["X-API-Key"].encode()))
    assert (await gate.admit(shown, kind, permission, {})).identity.role is Role.SERVER


def _scope(address: str, *headers: tuple[bytes, bytes]) -> Any:
    return {"type": "http", "client": (address, 1), "headers": headers, "query_string": b""}
