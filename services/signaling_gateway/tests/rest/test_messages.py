"""The AsyncAPI document has what the contracts publish, and holds together."""

import re
from typing import Any

import orjson
import pytest
from contracts import frames
from signaling_gateway.http.messages import asyncapi

from services.signaling_gateway.tests.rest.owners import RPCS


@pytest.fixture(scope="module")
def document() -> Any:
    return orjson.loads(orjson.dumps(asyncapi("P2P Coordinator", "1")))


def test_every_request_is_received_and_answered(document: Any):
    for rpc in [rpc for rpcs in RPCS.values() for rpc in rpcs]:
        operation = document["operations"][f"receive.{rpc.subject}"]
        assert operation["messages"] == [{"$ref": f"#/channels/{rpc.subject}/messages/{rpc.question.__name__}"}]
        assert operation["reply"]["messages"] == [{"$ref": f"#/channels/{rpc.subject}/messages/{rpc.answer.__name__}"}]


@pytest.mark.parametrize(
    ("address", "action"),
    [
        ("p2p.heartbeat.{host_id}", "receive"),
        ("p2p.npc.{zone_id}.{npc_id}", "receive"),
        ("p2p.environment.{zone_id}", "receive"),
        ("p2p.feed.{zone_id}", "send"),
        ("p2p.events.sessions.{session_id}.joined", "send"),
        ("/api/v1/signaling/ws", "send"),
        ("/api/v1/signaling/ws", "receive"),
    ],
)
def test_who_speaks_is_told(address: str, action: str, document: Any):
    (name,) = [name for name, channel in document["channels"].items() if channel["address"] == address]

    assert document["operations"][f"{action}.{name}"]["action"] == action


def test_the_socket_has_every_frame(document: Any):
    spoken = document["channels"]["api.v1.signaling.ws"]["messages"].keys()

    assert spoken == {frame.__name__ for frame in (*frames.IN, *frames.OUT)}


def test_what_gateways_say_among_themselves_is_nobodys(document: Any):
    assert not any(channel["address"].startswith("p2p.gateway.") for channel in document["channels"].values())


def test_every_reference_leads_somewhere(document: Any):
    references = set(re.findall(r'"\$ref":"#/([^"]+)"', orjson.dumps(document).decode()))

    assert references
    for reference in references:
        place = document
        for step in reference.split("/"):
            place = place[step]
