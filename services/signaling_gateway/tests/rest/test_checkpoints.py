"""A checkpoint is stored when all of it is there, and comes back byte for byte."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import httpx
import pytest
import pytest_asyncio
from chassis.objects import Objects
from chassis.refusals import UnavailableError
from contracts.refusals import Code
from contracts.sessions import MOST_CHECKPOINT_BYTES, Checkpoint, KeepCheckpoint
from contracts.streams import CHECKPOINTS
from contracts.subjects import Message
from signaling_gateway.http.framework.serving import InHand

from services.signaling_gateway.tests.rest.owners import Owners, example

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATH = "/api/v1/sessions/session-0123456789abcdef/checkpoint"
PUT, GET = "p2p.sessions.keep_checkpoint", "p2p.sessions.checkpoint"
BYTES = {"Content-Type": "application/octet-stream"}


@pytest_asyncio.fixture(loop_scope="module")
async def objects(owners: Owners) -> AsyncIterator[Objects]:
    """Those of the gateway; session_manager keeps whatever it is told."""

    async def keep(question: Message) -> bytes:
        assert isinstance(question, KeepCheckpoint)
        told = question.model_dump(exclude={"session"}) | {"session_id": question.session}
        kept = Checkpoint.model_validate_json(example(Checkpoint)).model_copy(update=told).model_dump_json().encode()
        owners.replies[GET] = kept
        return kept

    owners.replies |= {PUT: keep, GET: Code.CHECKPOINT_NOT_FOUND}
    found = Objects(owners.bus, CHECKPOINTS)
    yield found
    for name in await names(found):
        await found.remove(name)


async def names(objects: Objects) -> list[str]:
    return [name async for name in objects.names()]


@pytest.mark.parametrize("size", [0, 5, 3_000_000, MOST_CHECKPOINT_BYTES])
async def test_what_is_stored_comes_back(size: int, client: httpx.AsyncClient, owners: Owners, objects: Objects):
    content = (b"the world" * (size // 9 + 1))[:size]
    sha256 = hashlib.sha256(content).hexdigest()

    stored = await client.put(f"{PATH}?epoch=3&sequence=12", content=content, headers=BYTES)
    assert stored.status_code == 200, stored.text
    [asked] = owners.asked_on(PUT)
    assert (asked["epoch"], asked["sequence"], asked["size"], asked["sha256"]) == (3, 12, size, sha256)

    given = await client.get(PATH)
    assert (given.status_code, given.content, given.headers["content-type"]) == (200, content, BYTES["Content-Type"])
    assert (given.headers["p2p-epoch"], given.headers["p2p-sequence"]) == ("3", "12")
    assert given.headers["etag"] == f'"{sha256}"'


async def test_without_one_it_is_404(client: httpx.AsyncClient, objects: Objects):
    given = await client.get(PATH)
    assert (given.status_code, given.json()["code"]) == (404, "checkpoint_not_found")


async def test_bytes_that_are_lost_are_said_to_be_lost(client: httpx.AsyncClient, objects: Objects):
    await client.put(f"{PATH}?epoch=3&sequence=12", content=b"x")
    await objects.remove((await names(objects))[0])
    given = await client.get(PATH)
    assert (given.status_code, given.json()["code"]) == (404, "checkpoint_not_found")
    assert given.json()["fields"]["sequence"] == 12


@pytest.mark.parametrize("declared", [True, False])
async def test_more_than_ten_mebibytes_are_413(
    declared: bool, client: httpx.AsyncClient, owners: Owners, objects: Objects
):
    body = bytes(MOST_CHECKPOINT_BYTES + 1024 * 1024)

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 262_144):
            yield body[start : start + 262_144]

    response = await client.put(f"{PATH}?epoch=1&sequence=1", content=body if declared else pieces(), headers=BYTES)

    assert (response.status_code, response.json()["code"]) == (413, "invalid")
    assert str(MOST_CHECKPOINT_BYTES) in response.json()["detail"]
    assert (owners.questions, await names(objects)) == ([], [])


async def test_what_is_cut_in_the_middle_leaves_the_one_before(
    gateway_url: str, client: httpx.AsyncClient, owners: Owners, objects: Objects
):
    await client.put(f"{PATH}?epoch=1&sequence=1", content=b"whole")
    before = len(owners.questions)
    where = urlsplit(gateway_url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    head = f"PUT {PATH}?epoch=1&sequence=2 HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000000\r\n\r\n"
    writer.write(head.encode() + bytes(500_000))
    await writer.drain()
    writer.write_eof()
    assert await reader.read() == b""
    writer.close()

    assert (await client.get(PATH)).content == b"whole"
    assert len(owners.questions) == before + 1
    assert len(await names(objects)) == 1


@pytest.mark.parametrize("query", ["", "epoch=1", "sequence=1", "epoch=0&sequence=1", "epoch=1&sequence=x"])
async def test_it_names_its_epoch_and_its_number(query: str, client: httpx.AsyncClient, objects: Objects):
    response = await client.put(f"{PATH}?{query}", content=b"x", headers=BYTES)
    assert (response.status_code, response.json()["code"]) == (422, "invalid")
    assert response.json()["detail"][0]["loc"][0] == "query"
    assert await names(objects) == []


async def test_it_is_bytes_and_not_json(client: httpx.AsyncClient, objects: Objects):
    response = await client.put(f"{PATH}?epoch=1&sequence=1", json={"world": 1})
    assert (response.status_code, response.json()["code"]) == (422, "invalid")


async def test_what_session_manager_refuses_is_refused(client: httpx.AsyncClient, owners: Owners, objects: Objects):
    owners.replies[PUT] = Code.STALE_EPOCH
    response = await client.put(f"{PATH}?epoch=1&sequence=1", content=b"x")
    assert (response.status_code, response.json()["code"]) == (409, "stale_epoch")


async def test_a_process_has_no_more_in_its_memory_than_it_may():
    in_hand = InHand(10)
    with in_hand.holding() as one:
        one.add(6)
        with in_hand.holding() as other, pytest.raises(UnavailableError):
            other.add(5)
        with in_hand.holding() as other:
            other.add(4)
    with in_hand.holding() as one:
        one.add(10)
