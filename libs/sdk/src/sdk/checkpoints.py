"""What a host keeps of its sessions at the coordinator, for whoever hosts them after it.

One checkpoint of a session at a time, sessions side by side.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Mapping
from urllib.parse import quote

import aiohttp
from contracts.frames import SessionAssigned
from contracts.refusals import Code

from sdk.errors import NotAssignedError, P2pError, RefusedError, StaleEpochError
from sdk.registration import Registration

log = logging.getLogger(__name__)

AHEAD_EVERY_S = 2.0
"""How often a host that stands by asks for a newer one; where there is none that is a question without bytes."""

PATIENCE = aiohttp.ClientTimeout(total=65)
"""The coordinator waits a minute for the bytes; the rest is for its answer."""


class Checkpoints:
    """Those of one host's sessions, counted on from what each began with."""

    def __init__(
        self,
        registration: Registration,
        sessions: Mapping[str, SessionAssigned],
    ) -> None:
        self._registration = registration
        self._sessions = sessions
        self._ahead: dict[str, tuple[str, bytes]] = {}
        """What was fetched while standing by, each with the name that tells it from a newer one."""
        self._sequences: dict[str, int] = defaultdict(int)
        self._one_at_a_time: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def save(self, session_id: str, data: bytes) -> None:
        """Store the state of a session that this host serves."""
        async with self._one_at_a_time[session_id]:
            assigned = self._sessions.get(session_id)
            if assigned is None:
                raise NotAssignedError(session_id)
            # Counted before it is known whether it arrives: one whose answer is lost may be kept all the same.
            self._sequences[session_id] += 1
            query = f"epoch={assigned.epoch}&sequence={self._sequences[session_id]}"
            try:
                await self._registration.carry("PUT", f"{_path(session_id)}?{query}", data, PATIENCE)
            except RefusedError as error:
                if error.code is Code.STALE_EPOCH:
                    raise StaleEpochError(error.refusal) from error
                raise

    async def load(self, session_id: str) -> bytes | None:
        """Give the newest state that was stored, by this host or one before; None where there is none."""
        name, ahead = self._ahead.get(session_id, ("", b""))
        try:
            known = {"If-None-Match": name} if name else None
            data, headers = await self._registration.carry("GET", _path(session_id), None, PATIENCE, known)
        except RefusedError as error:
            if error.code is not Code.CHECKPOINT_NOT_FOUND:
                raise
            self._count_on(session_id, error.refusal.fields.get("sequence", 0))  # of one whose bytes are lost
            return None
        self._count_on(session_id, int(headers["P2p-Sequence"]))
        if name and headers.get("ETag") == name:
            data = ahead
        if session_id in self._sessions:
            self._ahead.pop(session_id, None)
        elif "ETag" in headers:
            self._ahead[session_id] = headers["ETag"], data
        return data

    async def load_ahead(self, session_id: str) -> None:
        """Have the newest of a session that this host stands by for, as each comes, until cancelled."""
        while session_id not in self._sessions:
            try:
                await self.load(session_id)
            except P2pError as error:
                log.debug("no checkpoint of session %s ahead: %s", session_id, error)
            await asyncio.sleep(AHEAD_EVERY_S)

    def released(self, session_id: str) -> None:
        self._ahead.pop(session_id, None)
        self._sequences.pop(session_id, None)
        self._one_at_a_time.pop(session_id, None)

    def _count_on(self, session_id: str, sequence: object) -> None:
        if isinstance(sequence, int):
            self._sequences[session_id] = max(self._sequences[session_id], sequence)


def _path(session_id: str) -> str:
    return f"/sessions/{quote(session_id, safe='')}/checkpoint"
