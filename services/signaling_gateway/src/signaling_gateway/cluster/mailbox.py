"""Signals for peers without a WebSocket, in Redis for a minute.

`offer:<session>` and `answer:<session>` are hashes from `<sender> <receiver>` to the newest one; `candidates:<session>`
is a stream. `reads:<session>:<peer>` is there while the peer asks for its letters.
"""

import time
from dataclasses import dataclass
from typing import Any

import orjson
from chassis.redis import TracedRedis
from contracts.identifiers import to_token

KEPT_S = 60
"""An older offer is answered by nobody: its maker has given up."""

MAX_CANDIDATES = 2000
"""Of a session in a minute; a peer has about ten."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A signal for whoever asks for it; without `to`, for any member."""

    sender: str
    to: str | None
    content: Any


@dataclass(frozen=True, slots=True)
class Candidate:
    """A kept candidate and its place in the order."""

    id: str
    letter: Letter


class Mailbox:
    """The letters of all sessions."""

    def __init__(self, redis: TracedRedis) -> None:
        self._redis = redis

    async def put(self, kind: str, session_id: str, letter: Letter) -> None:
        """Keep a signal for a minute, in place of an earlier one between the same two; candidates add up."""
        if kind == "ice-candidate":
            await self._add_candidate(session_id, letter)
            return
        key = f"{kind}:{session_id}"
        field = f"{to_token(letter.sender)} {to_token(letter.to or '')}"
        written = orjson.dumps([time.time(), letter.sender, letter.to, letter.content])
        if kind == "offer":
            await self._void_answers(session_id, field, letter)
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.hset(key, field, written)
            pipe.expire(key, KEPT_S)
            await pipe.execute()

    async def _void_answers(self, session_id: str, field: str, offer: Letter) -> None:
        """Forget what answers an earlier offer of this sender: whoever asks takes it for the answer to this one."""
        before: Any = await self._redis.hget(f"offer:{session_id}", field)
        if before is not None and orjson.loads(before)[3] == offer.content:
            return  # said again, because the reply was lost
        key = f"answer:{session_id}"
        asked = to_token(offer.sender)
        answerer = to_token(offer.to) if offer.to is not None else None
        answers: Any = await self._redis.hkeys(key)
        void = [
            answer
            for answer, (sender, to) in ((answer, answer.split(" ")) for answer in answers)
            if to == asked and answerer in {None, sender}
        ]
        if void:
            await self._redis.hdel(key, *void)

    async def newest(self, kind: str, session_id: str, reader: str | None) -> Letter | None:
        """The newest offer or answer for a reader: one to it, else to anybody; for no reader in particular, any."""
        found: list[tuple[int, float, Letter]] = []
        for written in (await self._redis.hgetall(f"{kind}:{session_id}")).values():
            at, sender, to, content = orjson.loads(written)
            if time.time() - at < KEPT_S and (reader is None or to in {None, reader}):
                rank = (to == reader) * 2 + (sender != reader)
                found.append((rank, at, Letter(sender, to, content)))
        return max(found, key=lambda entry: entry[:2])[2] if found else None

    async def candidates(self, session_id: str, reader: str | None, after: str) -> list[Candidate]:
        """The candidates for a reader since `after`, a candidate's id or 0; not its own."""
        entries: Any = await self._redis.xrange(f"candidates:{session_id}", min=f"({after}")
        since = (time.time() - KEPT_S) * 1000
        kept = [
            Candidate(entry_id, Letter(*orjson.loads(fields["letter"])))
            for entry_id, fields in entries
            if int(entry_id.partition("-")[0]) >= since
        ]
        return [
            candidate
            for candidate in kept
            if reader is None or (candidate.letter.to in {None, reader} and candidate.letter.sender != reader)
        ]

    async def read_by(self, session_id: str, peer_id: str) -> None:
        """Remember that a peer asks for its letters."""
        await self._redis.set(f"reads:{session_id}:{peer_id}", "1", ex=KEPT_S)

    async def is_read_by(self, session_id: str, peer_id: str) -> bool:
        """Whether a peer has lately asked for its letters."""
        return bool(await self._redis.exists(f"reads:{session_id}:{peer_id}"))

    async def _add_candidate(self, session_id: str, letter: Letter) -> None:
        key = f"candidates:{session_id}"
        written = orjson.dumps([letter.sender, letter.to, letter.content])
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.xadd(key, {"letter": written}, maxlen=MAX_CANDIDATES, approximate=True)
            pipe.expire(key, KEPT_S)
            await pipe.execute()
