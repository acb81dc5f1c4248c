"""Which object is a session's newest whole checkpoint; what it replaced, and what ended with its session."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg
from chassis.database import Database
from contracts.identifiers import HostId
from contracts.sessions import Checkpoint, KeepCheckpoint, SessionStatus

from session_manager.errors import SessionNotFoundError
from session_manager.sessions import Ref

# $1 number, $2 session_id
_THIS = "coalesce($1::bigint, (SELECT id FROM sessions WHERE session_id = $2::text))"

# The session's row is held, so that neither its epoch nor its end changes between the check and the write. Written
# again, the same checkpoint is the same: whoever missed the answer may ask anew.
# $1 number, $2 session_id, $3 epoch, $4 sequence, $5 object, $6 size, $7 sha256, $8 now
_KEEP = f"""
WITH session AS MATERIALIZED (
    SELECT id, session_id FROM sessions WHERE id = {_THIS} AND live AND epoch = $3 FOR NO KEY UPDATE
), kept AS (
    INSERT INTO checkpoints AS c (session, epoch, sequence, object, size, sha256, stored_at)
    SELECT id, $3, $4, $5::uuid, $6, $7, $8 FROM session
    ON CONFLICT (session) DO UPDATE SET
        epoch = excluded.epoch, sequence = excluded.sequence, object = excluded.object, size = excluded.size,
        sha256 = excluded.sha256, stored_at = excluded.stored_at
    WHERE c.sequence < excluded.sequence
        OR (c.epoch, c.sequence, c.sha256) = (excluded.epoch, excluded.sequence, excluded.sha256)
    RETURNING c.*
)
SELECT session.session_id, kept.* FROM kept JOIN session ON session.id = kept.session
"""  # noqa: S608 -- constants of this file

# $1 number, $2 session_id
_GET = f"""
SELECT s.session_id, s.status, s.host_id, s.epoch AS present_epoch, c.*
FROM sessions s LEFT JOIN checkpoints c ON c.session = s.id WHERE s.id = {_THIS}
"""  # noqa: S608 -- constants of this file

_DISCARDED = "SELECT object FROM discarded_checkpoints ORDER BY object LIMIT $1"
_REMOVED = "DELETE FROM discarded_checkpoints WHERE object = $1::uuid"
_KEPT = "SELECT object FROM checkpoints WHERE object = ANY($1::uuid[])"
# $1 name, $2 size
_DISCARD = """
INSERT INTO discarded_checkpoints (object, size)
SELECT $1::uuid, $2 WHERE NOT EXISTS (SELECT FROM checkpoints WHERE object = $1) ON CONFLICT DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class Keeping:
    """How a session stands towards a checkpoint of it."""

    session_id: str
    status: SessionStatus
    host_id: HostId
    epoch: int
    checkpoint: Checkpoint | None


class CheckpointStore:
    """The checkpoints table, and the objects that are to be removed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self, ref: Ref, wish: KeepCheckpoint, now: datetime) -> Checkpoint | None:
        """Keep it instead of the one before; None where the session or the one before does not allow that."""
        row = await self._database.fetchrow(
            "checkpoints.keep",
            _KEEP,
            ref.number,
            ref.session_id,
            wish.epoch,
            wish.sequence,
            wish.object,
            wish.size,
            wish.sha256,
            now,
        )
        return None if row is None else _checkpoint(row)

    async def of(self, ref: Ref) -> Keeping:
        row = await self._database.fetchrow("checkpoints.of", _GET, ref.number, ref.session_id)
        if row is None:
            raise SessionNotFoundError(ref.session_id or str(ref.number))
        return Keeping(
            row["session_id"],
            SessionStatus(row["status"]),
            HostId(row["host_id"]),
            row["present_epoch"],
            None if row["object"] is None else _checkpoint(row),
        )

    async def discarded(self, most: int) -> list[str]:
        """Name objects whose bytes are to be removed."""
        rows = await self._database.fetch("checkpoints.discarded", _DISCARDED, most)
        return [str(row["object"]) for row in rows]

    async def removed(self, name: str) -> None:
        await self._database.execute("checkpoints.removed", _REMOVED, name)

    async def kept_among(self, names: Sequence[str]) -> set[str]:
        """Which of these objects are a session's."""
        rows = await self._database.fetch("checkpoints.kept", _KEPT, list(names))
        return {str(row["object"]) for row in rows}

    async def discard(self, name: str, size: int) -> None:
        """Have the bytes of an object removed that is no session's."""
        await self._database.execute("checkpoints.discard", _DISCARD, name, size)


def _checkpoint(row: asyncpg.Record) -> Checkpoint:
    return Checkpoint(
        session_id=row["session_id"],
        epoch=row["epoch"],
        sequence=row["sequence"],
        size=row["size"],
        sha256=row["sha256"],
        object=str(row["object"]),
        stored_at=row["stored_at"],
    )
