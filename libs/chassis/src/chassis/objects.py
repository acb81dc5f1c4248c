"""Bytes too many for one message, in pieces in a stream: written once under a new name, read whole, removed."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from contracts.streams import Stream
from nats.js.api import Header

from chassis import jetstream
from chassis.bus import Bus
from chassis.ids import new_event_id
from chassis.refusals import UnavailableError

PIECE_BYTES = 128 * 1024
"""An eighth of what NATS takes: a signal that comes behind one waits for a millisecond."""

AT_ONCE = 8
"""Pieces on their way: a mebibyte, of the eight that the connection buffers."""

API_WITHIN_S = 5.0

NOT_THERE = "404"


class Objects:
    """The objects in a stream that is `by_subject`, with subjects of two words beyond its prefix."""

    def __init__(self, bus: Bus, stream: Stream) -> None:
        self._bus = bus
        self._stream = stream.name
        self._prefix = stream.subjects[0].removesuffix("*.*")

    async def put(self, content: bytes) -> str:
        """Store; return its name when all of it is stored. What is interrupted leaves pieces that nobody names."""
        name, limit = new_event_id(), asyncio.Semaphore(AT_ONCE)

        async def put_piece(number: int) -> None:
            piece = content[number * PIECE_BYTES : (number + 1) * PIECE_BYTES]
            async with limit:
                await jetstream.publish(self._bus, self._subject(name, number), piece, message_id=f"{name}.{number}")

        await _all(put_piece, len(content))
        return name

    async def get(self, name: str, size: int) -> bytes | None:
        """Read an object of `size` bytes; None where it, or a piece of it, is not there."""
        pieces: dict[int, bytes] = {}
        limit = asyncio.Semaphore(AT_ONCE)

        async def get_piece(number: int) -> None:
            subject = f"$JS.API.DIRECT.GET.{self._stream}.{self._subject(name, number)}"
            async with limit:
                reply = await self._bus.request(subject, b"", timeout_s=API_WITHIN_S)
            status = (reply.headers or {}).get(Header.STATUS)
            if status is None:
                pieces[number] = reply.data
            elif status != NOT_THERE:
                raise UnavailableError(f"JetStream cannot read at the moment ({status}).")

        await _all(get_piece, size)
        whole = b"".join(pieces[number] for number in sorted(pieces))
        return whole if len(whole) == size else None

    async def remove(self, name: str) -> None:
        """Remove all pieces of an object, or those that are there."""
        await self._api("PURGE", {"filter": f"{self._prefix}{name}.*"})

    async def names(self) -> AsyncIterator[str]:
        """Name every object of which there is a piece, oldest first."""
        found: set[str] = set()
        offset = 0
        while True:
            told = await self._api("INFO", {"subjects_filter": f"{self._prefix}>", "offset": offset})
            subjects = told["state"].get("subjects") or {}
            found |= {subject.removeprefix(self._prefix).partition(".")[0] for subject in subjects}
            offset += len(subjects)
            if not subjects or offset >= told.get("total", 0):
                break
        for name in sorted(filter(_is_ours, found)):
            yield name

    def _subject(self, name: str, number: int) -> str:
        return f"{self._prefix}{name}.{number}"

    async def _api(self, verb: str, question: dict[str, Any]) -> dict[str, Any]:
        subject = f"$JS.API.STREAM.{verb}.{self._stream}"
        reply = await self._bus.request(subject, json.dumps(question).encode(), timeout_s=API_WITHIN_S)
        answer: dict[str, Any] = json.loads(reply.data)
        if "error" in answer:
            raise UnavailableError(f"JetStream refused: {answer['error'].get('description')}")
        return answer


def _is_ours(name: str) -> bool:
    try:
        UUID(name)
    except ValueError:
        return False
    return True


def made_at(name: str) -> datetime:
    """When an object began to be written, by the clock of whoever wrote it."""
    return datetime.fromtimestamp((UUID(name).int >> 80) / 1000, UTC)


async def _all(work: Callable[[int], Coroutine[Any, Any, None]], size: int) -> None:
    """Do it for each piece; whatever goes wrong with the first ends the others."""
    try:
        async with asyncio.TaskGroup() as tasks:
            for number in range(-(-size // PIECE_BYTES)):
                tasks.create_task(work(number))
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
