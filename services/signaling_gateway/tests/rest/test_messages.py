"""The AsyncAPI document has what the contracts publish, and holds together."""

import json
import re
from pathlib import Path
from types import NoneType
from typing import Any, get_args

import jsonschema_rs
import orjson
import pytest
from contracts import catalogue, frames, warp
from contracts.closing import CloseCode
from contracts.npcs import NpcFeed
from contracts.refusals import Code
from contracts.subjects import Rpc
from httpx import AsyncClient
from pydantic import BaseModel
from signaling_gateway.http.framework.asyncapi import asyncapi, every_schema, schema_of
from signaling_gateway.peers.frames import KINDS, read, written
from signaling_gateway.peers.warp import from_warp, to_warp

ASYNCAPI = Path(__file__).parent / "asyncapi-3.0.0.json"

REQUESTS = list(catalogue.requests().values())
MESSAGES = list(catalogue.messages().values())


@pytest.fixture(scope="module")
def document() -> Any:
    return orjson.loads(orjson.dumps(asyncapi("P2P Coordinator", "1")))


def test_it_is_asyncapi_by_the_specifications_own_schema(document: Any):
    jsonschema_rs.validator_for(json.loads(ASYNCAPI.read_text())).validate(document)


@pytest.mark.parametrize("rpc", REQUESTS, ids=lambda rpc: rpc.subject)
def test_a_request_is_received_answered_and_refused(rpc: Rpc[Any, Any], document: Any):
    operation = document["operations"][f"receive.{rpc.subject}"]

    assert operation["messages"] == [{"$ref": f"#/channels/{rpc.subject}/messages/{rpc.question.__name__}"}]
    assert operation["reply"]["messages"] == [
        {"$ref": f"#/channels/replies/messages/{rpc.answer.__name__}"},
        {"$ref": "#/channels/replies/messages/Refusal"},
    ]
    assert {code.value for code in rpc.refusals} < set(operation["x-refusals"]) <= document["x-refusals"].keys()


@pytest.mark.parametrize(
    ("address", "action"),
    [
        ("p2p.heartbeat.{host_id}", "receive"),
        ("p2p.npc.{zone_id}.{npc_id}", "receive"),
        ("p2p.environment.{zone_id}", "receive"),
        ("p2p.feed.{zone_id}.wanted", "receive"),
        ("p2p.feed.{zone_id}", "send"),
        ("p2p.npcevents.{zone_id}.{npc_id}", "send"),
        ("p2p.events.sessions.{session_id}.joined", "send"),
        ("p2p.events.audit.{who}.{what}", "send"),
    ],
)
def test_who_speaks_is_told(address: str, action: str, document: Any):
    (name,) = [name for name, channel in document["channels"].items() if channel["address"] == address]
    here = {"$ref": f"#/channels/{name}"}

    spoken = [operation["action"] for operation in document["operations"].values() if operation["channel"] == here]
    assert spoken == [action]


def test_it_says_of_every_code_what_it_means_and_whether_to_try_again(document: Any):
    assert document["x-refusals"].keys() == document["x-try-again"].keys() == {code.value for code in Code}
    assert document["x-close-codes"].keys() == {str(code.value) for code in CloseCode}
    assert document["x-close-codes"]["4001"]["try_again"].startswith("No")


def test_what_is_kept_says_where_and_for_how_long(document: Any):
    joined = document["channels"]["p2p.events.sessions.session_id.joined"]

    assert document["x-streams"][joined["x-stream"]]["max_age_s"] == 7 * 86400
    assert "x-stream" not in document["channels"]["p2p.heartbeat.host_id"]


@pytest.mark.parametrize(("channel", "dialect"), [("signaling", frames), ("signaling.warp", warp)])
def test_the_socket_has_every_frame_of_both_dialects(channel: str, dialect: Any, document: Any):
    for action, spoken in (("receive", dialect.IN), ("send", dialect.OUT)):
        messages = document["operations"][f"{action}.{channel}"]["messages"]
        assert [message["$ref"].split("/")[-1] for message in messages] == [frame.__name__ for frame in spoken]


def test_every_kind_of_frame_that_is_read_is_in_it(document: Any):
    kinds = set[str]()
    for frame in frames.IN:
        said = document["components"]["schemas"][frame.__name__]["properties"]["type"]
        kinds |= {said["const"]} if "const" in said else set(said["enum"])

    assert kinds == KINDS


def leaves(frame: type[BaseModel]) -> set[type[BaseModel]]:
    below = frame.__subclasses__()
    return set[type[BaseModel]]().union(*map(leaves, below)) if below else {frame}


def test_every_frame_that_can_be_written_or_read_is_in_its_dialect():
    # All that is written is a FrameOut, which a type checker sees to, but for the feed, which has its bytes from NATS.
    assert leaves(frames.FrameOut) | {NpcFeed} == set(frames.OUT)
    assert leaves(frames.FrameIn) == set(frames.IN)
    assert leaves(warp.WarpFrame) == {*warp.IN, *warp.OUT}


@pytest.mark.parametrize("frame", sorted(leaves(frames.FrameOut), key=str))
def test_a_frame_without_what_is_not_known_is_what_its_schema_says(frame: type[frames.FrameOut]):
    shown = frame.model_validate_json(catalogue.golden(frame))
    unknown = {name: None for name, about in frame.model_fields.items() if NoneType in get_args(about.annotation)}

    jsonschema_rs.validator_for(schema(frame)).validate(orjson.loads(written(shown.model_copy(update=unknown))))


def test_what_the_game_client_is_told_and_says_is_as_the_document_has_it():
    told = [to_warp(catalogue.golden(frame).encode()) for frame in frames.OUT]
    schemas = [jsonschema_rs.validator_for({**schema(frame), "additionalProperties": False}) for frame in warp.OUT]
    said = [orjson.loads(frame) for frame in told if frame is not None]

    assert [sum(each.is_valid(frame) for frame in said) for each in schemas] == [1] * len(warp.OUT)
    for frame in warp.IN:
        assert read(from_warp(catalogue.golden(frame)))


def schema(message: type[BaseModel]) -> Any:
    return schema_of(message.__name__)


@pytest.fixture(scope="module")
def bundle() -> Any:
    return every_schema()


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.__name__)
def test_an_example_of_each_message_is_what_its_schema_says(message: type[BaseModel], bundle: Any):
    example = json.loads(catalogue.golden(message))

    assert jsonschema_rs.is_valid(schema(message), example)
    needed = used_by(message.__name__, bundle["$defs"])
    in_bundle = jsonschema_rs.validator_for({"$ref": f"#/$defs/{message.__name__}", "$defs": needed})
    assert in_bundle.is_valid(example)
    assert not in_bundle.is_valid([])


def used_by(name: str, schemas: dict[str, Any]) -> dict[str, Any]:
    """The schema of this name and those it refers to: to compile all of them for each takes half a second."""
    found: dict[str, Any] = {}
    wanted = [name]
    while wanted:
        name = wanted.pop()
        if name not in found:
            found[name] = schemas[name]
            wanted += re.findall(r"#/\$defs/([\w.-]+)", json.dumps(schemas[name]))
    return found


@pytest.mark.asyncio(loop_scope="module")
async def test_schemas_are_served(client: AsyncClient):
    every, one, none = [await client.get(f"/schemas{path}.json") for path in ("", "/Offer", "/Nonsense")]

    assert every.json()["$defs"].keys() >= catalogue.messages().keys()
    assert one.json() == schema_of("Offer")
    assert one.headers["content-type"] == "application/schema+json"
    assert (none.status_code, none.json()["code"]) == (404, "route_not_found")


def test_what_gateways_say_among_themselves_is_nobodys(document: Any):
    assert not any((channel["address"] or "").startswith("p2p.gateway.") for channel in document["channels"].values())


def test_every_reference_leads_somewhere(document: Any):
    references = set(re.findall(r'"\$ref":"#/([^"]+)"', orjson.dumps(document).decode()))

    assert references
    for reference in references:
        place = document
        for step in reference.split("/"):
            place = place[step]
