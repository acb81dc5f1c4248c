"""Any NATS client may listen, beat and look: plain nats-py, none of our code, no header."""

import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import httpx
import nats
import pytest
from nats.aio.client import Client
from testkit.eventually import eventually
from testkit.patience import patient, within
from testkit.suites import RunningSuite

SERVICES = {"host_registry", "zone_manager", "session_manager", "signaling_gateway", "scheduler", "prober"}


@pytest.fixture
async def client(suite: RunningSuite) -> AsyncIterator[Client]:
    connection = await nats.connect(suite.nats)
    yield connection
    await connection.close()


def _host(name: str) -> dict[str, Any]:
    return {"host_id": name, "player_id": f"p-{name}", "player_name": "n", "network_speed_mbps": 1000}


async def test_a_subscriber_sees_the_facts_of_what_rest_answered(api: httpx.AsyncClient, client: Client) -> None:
    heard = await client.subscribe("p2p.events.hosts.>")
    await client.flush()
    await api.post("/api/v1/hosts/register", json=_host("1@tower.x"))
    fact = await heard.next_msg(timeout=patient(5))
    assert fact.subject == "p2p.events.hosts.1%40tower%2Ex.registered"
    body = json.loads(fact.data)
    assert body["host_id"] == "1@tower.x"
    assert body.keys() >= {"event_id", "occurred_at", "revision"}


async def test_a_beat_of_plain_nats_counts(api: httpx.AsyncClient, client: Client) -> None:
    registered = (await api.post("/api/v1/hosts/register", json=_host("beaten"))).json()
    await client.publish("p2p.heartbeat.beaten", json.dumps({"latency_ms": 10, "current_players": 7}).encode())

    async def beaten() -> bool:
        host = (await api.get("/api/v1/hosts/beaten")).json()
        return bool(host["latency_ms"] == 10 and host["last_heartbeat"] > registered["last_heartbeat"])

    await eventually(beaten)


async def test_a_request_of_plain_nats_is_answered_and_a_bad_one_refused_in_words(
    api: httpx.AsyncClient, client: Client
) -> None:
    await api.post("/api/v1/hosts/register", json=_host("asked-for"))
    answer = await client.request("p2p.hosts.get", b'{"host_id":"asked-for"}', timeout=patient(5))
    assert json.loads(answer.data)["host_id"] == "asked-for"
    refused = await client.request("p2p.hosts.get", b'{"host_id":"nobody"}', timeout=patient(5))
    assert refused.headers is not None
    assert refused.headers["Nats-Service-Error-Code"] == "404"
    assert json.loads(refused.data)["code"] == "host_not_found"


@pytest.mark.parametrize("garbage", [b"", b"[]", b"null", b"{", b"\xff\xfe", b'{"host_id":7}', b"x" * 100_000])
async def test_garbage_is_refused_and_the_next_request_is_answered(client: Client, garbage: bytes) -> None:
    refused = await client.request("p2p.sessions.create", garbage, timeout=patient(5))
    assert json.loads(refused.data)["code"] == "invalid"
    counted = await client.request("p2p.sessions.count", b"{}", timeout=patient(5))
    assert "total" in json.loads(counted.data)


ILLEGAL = ["", " ", ".", "..", "a/b", " a", "a ", "a\nb", "a\0b", "a\u0308", "x" * 129, "x" * 1000]
ESCAPING = ["a.b", "*", ">", "a.>", "%2E", "$SYS", "_INBOX", "a b", "p2p.events", "ナイト"]
"""Legal names, each of them something else in a subject if it were put there as it is."""

QUESTIONS = {
    "p2p.hosts.get": {"host_id": "{}"},
    "p2p.zones.get": {"zone_id": "{}"},
    "p2p.sessions.enter": {"zone_id": "{}", "player_id": "ann"},
    "p2p.sessions.list": {"host_id": "{}"},
}


@pytest.mark.parametrize("subject", QUESTIONS)
async def test_an_illegal_name_in_a_request_is_refused_and_the_next_one_is_answered(
    client: Client, subject: str
) -> None:
    for name in ILLEGAL:
        refused = await client.request(subject, _naming(subject, name), timeout=patient(5))
        assert json.loads(refused.data)["code"] == "invalid", name
    counted = await client.request("p2p.sessions.count", b"{}", timeout=patient(5))
    assert "total" in json.loads(counted.data)


def _naming(subject: str, name: str) -> bytes:
    return json.dumps({field: name if value == "{}" else value for field, value in QUESTIONS[subject].items()}).encode()


async def test_a_name_that_looks_like_a_subject_is_a_name_in_requests_beats_and_facts(
    api: httpx.AsyncClient, client: Client
) -> None:
    heard = await client.subscribe("p2p.events.hosts.*.registered")
    await client.flush()
    for name in ESCAPING:
        assert (await api.post("/api/v1/hosts/register", json=_host(name))).status_code == 201
        fact = await heard.next_msg(timeout=patient(5))
        assert json.loads(fact.data)["host_id"] == name
        answer = await client.request("p2p.hosts.get", _naming("p2p.hosts.get", name), timeout=patient(5))
        assert json.loads(answer.data)["host_id"] == name
        [_, _, _, token, _] = fact.subject.split(".")
        await client.publish(f"p2p.heartbeat.{token}", b'{"latency_ms": 12}')
    for name in ESCAPING:

        async def beaten(name: str = name) -> bool:
            found = await client.request("p2p.hosts.get", _naming("p2p.hosts.get", name), timeout=patient(5))
            return bool(json.loads(found.data)["latency_ms"] == 12)

        await eventually(beaten)
        assert (await api.delete(f"/api/v1/hosts/{quote(name, safe='')}")).status_code == 204


async def test_every_service_answers_ping_and_names_its_requests(client: Client) -> None:
    inbox = client.new_inbox()
    answers = await client.subscribe(inbox)
    names: set[str] = set()
    await client.publish("$SRV.PING", b"", reply=inbox)
    async with within(5):
        while names < SERVICES:
            names.add(json.loads((await answers.next_msg(timeout=patient(5))).data)["name"])
    assert names == SERVICES
