"""What is published is what is there: contracts, both documents of a running gateway, and what its suite answers to."""

import json
import re
from collections.abc import AsyncIterator, Iterable
from typing import Any

import httpx
import pytest
from contracts import catalogue, frames, warp
from contracts.grants import GRANTS, OPERATOR, Grant
from nats.aio.client import Client
from signaling_gateway.access.permissions import FRAMES, ROUTES
from testkit.admission import bearer_for, on_nats
from testkit.clients import connect
from testkit.patience import patient, within
from testkit.suites import RunningSuite
from websockets.asyncio.client import ClientConnection

PATIENCE_S = 10
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
NOT_ALLOWED = 405

Json = dict[str, Any]


@pytest.fixture
async def openapi(api: httpx.AsyncClient) -> Json:
    document: Json = (await api.get("/openapi.json")).json()
    return document


@pytest.fixture
async def asyncapi(api: httpx.AsyncClient) -> Json:
    document: Json = (await api.get("/asyncapi.json")).json()
    return document


@pytest.fixture
async def client(suite: RunningSuite) -> AsyncIterator[Client]:
    """An operator's."""
    async with on_nats(suite, OPERATOR) as operator:
        yield operator


@pytest.fixture
async def described(suite: RunningSuite, client: Client) -> list[Json]:
    """What each process of the suite says of itself on `$SRV.INFO`."""
    answers = await client.subscribe(inbox := client.new_inbox())
    await client.publish("$SRV.INFO", b"", reply=inbox)
    found: dict[str, Json] = {}
    async with within(PATIENCE_S):
        while found.keys() < set(suite.instances):
            about = json.loads((await answers.next_msg(timeout=patient(PATIENCE_S))).data)
            found[about["id"]] = about
    return list(found.values())


def _requests(asyncapi: Json) -> dict[str, str]:
    """The queue groups of the document's requests, by subject; none where all instances are asked."""
    channels = asyncapi["channels"]
    return {
        channels[name]["address"]: operation["bindings"]["nats"].get("queue", "")
        for operation in asyncapi["operations"].values()
        if "reply" in operation and (name := operation["channel"]["$ref"].split("/")[-1])
    }


async def test_contracts_the_document_and_the_services_have_the_same_requests(
    asyncapi: Json, described: list[Json]
) -> None:
    answered = {(each["subject"], each["queue_group"]) for about in described for each in about["endpoints"]}

    assert {subject for subject, _ in answered} == catalogue.requests().keys()
    assert answered == set(_requests(asyncapi).items())
    for about in described:
        groups = {each["queue_group"] for each in about["endpoints"]}
        assert groups <= {about["name"], ""}, "the queue group is the name of the service that answers"


async def test_contracts_and_the_document_have_the_same_other_subjects(asyncapi: Json) -> None:
    on_nats = {
        channel["address"]
        for channel in asyncapi["channels"].values()
        if {"$ref": "#/servers/nats"} in channel.get("servers", ())
    }

    assert on_nats == catalogue.requests().keys() | catalogue.subjects().keys()


async def test_every_subject_of_the_document_is_answered_to_whom_it_is_granted(
    suite: RunningSuite, asyncapi: Json
) -> None:
    subjects = {subject: _first_to_ask(subject) for subject in _requests(asyncapi)}
    for grant in GRANTS.values():
        async with on_nats(suite, grant) as client:
            for subject in [subject for subject, granted in subjects.items() if granted is grant]:
                refused = await client.request(subject, b"[]", timeout=patient(PATIENCE_S))
                assert json.loads(refused.data)["code"] == "invalid", subject


def _first_to_ask(subject: str) -> Grant:
    return next(grant for grant in GRANTS.values() if subject in {rpc.subject for rpc in grant.asks})


async def test_every_route_has_its_operation_and_every_operation_its_route(openapi: Json) -> None:
    documented = {f"{method.upper()} {path}" for path, item in openapi["paths"].items() for method in item}

    assert documented == ROUTES.keys()


async def test_a_gateway_answers_the_methods_of_each_path_that_the_document_has_and_no_others(
    operated: httpx.AsyncClient, openapi: Json
) -> None:
    templates = {path: {method.upper() for method in item} for path, item in openapi["paths"].items()}
    for template in templates:
        path = re.sub(r"\{\w+\}", "nobody-has-this-name", template)
        there = set[str]().union(*(methods for other, methods in templates.items() if _fits(other, path)))
        assert {method for method in METHODS if await _is_answered(operated, method, path)} == there, template


def _fits(template: str, path: str) -> bool:
    return re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path) is not None


async def _is_answered(api: httpx.AsyncClient, method: str, path: str) -> bool:
    """Whether there is a route, whatever it says to a request without content; an endless answer is left at once."""
    async with api.stream(method, path) as answer:
        if answer.is_success:
            return True
        refusal = json.loads(await answer.aread())
        assert (answer.status_code == NOT_ALLOWED) <= (refusal["code"] == "route_not_found")
        return bool(refusal["code"] != "route_not_found")


def _types(asyncapi: Json, operation: str) -> set[str]:
    """The values of `type` of the operation's messages."""
    found = set[str]()
    for reference in asyncapi["operations"][operation]["messages"]:
        schema = asyncapi["components"]["schemas"][reference["$ref"].split("/")[-1]]
        about = schema["properties"]["type"]
        found |= set(about.get("enum", ())) | ({about["const"]} if "const" in about else set())
    return found


async def _answer_to(socket: ClientConnection, **frame: Any) -> list[Json]:
    """All that is said until a ping that follows is answered."""
    await socket.send(json.dumps(frame))
    await socket.send(json.dumps({"type": "ping", "id": frame["type"]}))
    heard: list[Json] = []
    async with within(PATIENCE_S):
        while not heard or heard[-1] != {"type": "pong", "id": frame["type"]}:
            heard.append(json.loads(await socket.recv()))
    return heard


def _understood(heard: Iterable[Json], kind: str) -> bool:
    return not any(frame.get("message") == f"Unknown message type: {kind}" for frame in heard)


async def test_a_socket_understands_the_frames_of_the_document_and_no_others(
    suite: RunningSuite, asyncapi: Json
) -> None:
    understood, told = _types(asyncapi, "receive.signaling"), _types(asyncapi, "send.signaling")
    game_client = _types(asyncapi, "receive.signaling.warp") | _types(asyncapi, "send.signaling.warp")
    url = suite.gateways[0].replace("http", "ws", 1) + asyncapi["channels"]["signaling"]["address"]
    shown = await bearer_for(suite, player_id="speaks-them-all")
    async with connect(f"{url}?peer_id=speaks-them-all", additional_headers=shown) as socket:
        await _answer_to(socket, type="ping")
        for kind in sorted(understood | told | game_client | {"no-such-type"}):
            heard = await _answer_to(socket, type=kind)
            assert _understood(heard, kind) is (kind in understood), kind
            assert {frame["type"] for frame in heard} <= told

    assert understood == FRAMES.keys(), "what the table of permissions has a row for"
    assert told == {frame.model_fields["type"].default for frame in frames.OUT}


async def test_the_game_clients_socket_understands_its_frames_and_hears_none_but_its_own(
    suite: RunningSuite, asyncapi: Json
) -> None:
    channel = asyncapi["channels"]["signaling.warp"]
    understood, told = _types(asyncapi, "receive.signaling.warp"), _types(asyncapi, "send.signaling.warp")
    shown = await bearer_for(suite, player_id="150009")  # which the shipped one has not; see compat
    url = suite.gateways[0].replace("http", "ws", 1) + channel["address"]
    async with connect(url, additional_headers=shown) as socket:
        for frame in sorted(understood, key=lambda kind: kind != "create_session"):  # its first says the dialect
            await socket.send(json.dumps({"type": frame, "peer_id": "150009", "zone": "no-such-zone"}))
            async with within(PATIENCE_S):
                heard = json.loads(await socket.recv())
            assert _understood([heard], frame)
            assert heard["type"] in told

    assert told == {frame.model_fields["type"].default for frame in warp.OUT}
