"""Bytes too many for one message are stored in pieces, come back whole or not at all, and go altogether."""

import asyncio

import pytest
from chassis.objects import PIECE_BYTES, Objects, made_at
from chassis.streams import declare_streams
from contracts.streams import CHECKPOINTS


@pytest.fixture
async def objects(bus):
    await declare_streams(bus)
    return Objects(bus, CHECKPOINTS)


async def names(objects):
    return [name async for name in objects.names()]


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES, PIECE_BYTES + 1, 10 * 1024 * 1024])
async def test_what_was_stored_comes_back(objects, size):
    content = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    name = await objects.put(content)
    assert await objects.get(name, size) == content


async def test_what_was_removed_is_not_there_and_the_others_are(objects):
    first, second = await objects.put(b"a" * 300_000), await objects.put(b"b")
    assert await names(objects) == [first, second]
    assert made_at(first) <= made_at(second)
    await objects.remove(first)
    assert await objects.get(first, 300_000) is None
    assert await objects.get(second, 1) == b"b"
    assert await names(objects) == [second]


async def test_what_lacks_a_piece_is_not_there(objects, bus):
    whole = await objects.put(b"a" * 300_000)
    await bus.request(
        f"$JS.API.STREAM.PURGE.{CHECKPOINTS.name}", b'{"filter": "p2p.checkpoints.%s.1"}' % whole.encode(), timeout_s=5
    )
    assert await objects.get(whole, 300_000) is None
    assert await names(objects) == [whole]


async def test_many_are_written_side_by_side(objects):
    contents = [bytes([number]) * 400_000 for number in range(8)]
    stored = await asyncio.gather(*map(objects.put, contents))
    assert [await objects.get(name, 400_000) for name in stored] == contents
