"""Keys, token families, kicks: the gateway's tables, in SQL. What gateways hold in memory raises the revision."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from asyncpg import Record
from chassis.database import Database, Transaction
from chassis.outbox import OutboxRow, tell
from contracts.access import ApiKey, Role

from signaling_gateway.access.families import Family
from signaling_gateway.access.revocations import KeyHeld, Kick, Revocations

_RAISE = "UPDATE access_revision SET revision = revision + 1"
_REVISION = "SELECT revision FROM access_revision"

_GOOD_KEYS = "SELECT key_id, role, fingerprint FROM api_keys WHERE revoked_at IS NULL"
_KICKS = "SELECT peer_id, until, reason FROM kicks"
_REVOKED = "SELECT family_id FROM families WHERE revoked_at IS NOT NULL"

# $1 key_id, $2 role, $3 name, $4 fingerprint, $5 now, $6 created_by
_ADD_KEY = """
INSERT INTO api_keys (key_id, role, name, fingerprint, created_at, created_by) VALUES ($1, $2, $3, $4, $5, $6)
"""
# $1 cursor, $2 limit
_KEYS = """
SELECT key_id, role, name, created_at, created_by, revoked_at FROM api_keys
WHERE $1::text IS NULL OR (created_at, key_id) < (SELECT created_at, key_id FROM api_keys WHERE key_id = $1)
ORDER BY created_at DESC, key_id DESC LIMIT $2
"""
# $1 key_id, $2 now
_REVOKE_KEY = """
UPDATE api_keys SET revoked_at = coalesce(revoked_at, $2) WHERE key_id = $1
RETURNING key_id, role, name, created_at, created_by, revoked_at
"""
# $1 peer_id, $2 until, $3 reason, $4 kicked_by, $5 now
_KICK = """
INSERT INTO kicks (peer_id, until, reason, kicked_by, kicked_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (peer_id) DO UPDATE SET
    until = greatest(kicks.until, excluded.until), reason = excluded.reason,
    kicked_by = excluded.kicked_by, kicked_at = excluded.kicked_at
RETURNING until
"""
_FAMILY = "family_id, role, peer_id, host_id, key_id, generation, advanced_at, by_exchange, expires_at, revoked_at"
# $1 family_id, $2 role, $3 peer_id, $4 host_id, $5 key_id, $6 generation, $7 advanced_at, $8 by_exchange,
# $9 expires_at, $10 revoked_at
_ADD_FAMILY = f"INSERT INTO families ({_FAMILY}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"  # noqa: S608
# While one that advances a family has not committed, another waits here, and then finds the generation gone.
# $1 family_id, $2 generation, $3 now, $4 by_exchange
_ADVANCE = f"""
UPDATE families SET generation = generation + 1, advanced_at = $3, by_exchange = $4
WHERE family_id = $1 AND generation = $2 AND revoked_at IS NULL AND expires_at > $3
RETURNING {_FAMILY}
"""  # noqa: S608
_BY_ID = f"SELECT {_FAMILY} FROM families WHERE family_id = $1"  # noqa: S608
# $1 family_id, $2 now
_REVOKE_FAMILY = "UPDATE families SET revoked_at = $2 WHERE family_id = $1 AND revoked_at IS NULL"
# $1 peer_id, $2 now
_KEYED = """
SELECT EXISTS (SELECT FROM families
WHERE peer_id = $1 AND key_id IS NOT NULL AND revoked_at IS NULL AND expires_at > $2)
"""
_FORGET_FAMILIES = "DELETE FROM families WHERE expires_at < $1"
_FORGET_KICKS = "DELETE FROM kicks WHERE until < $1"
_KEEP_SECRET = "INSERT INTO signing_secret (secret) VALUES ($1) ON CONFLICT DO NOTHING"  # noqa: S105
_SECRET = "SELECT secret FROM signing_secret"  # noqa: S105


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key to be kept, without its secret."""

    key_id: str
    role: Role
    name: str
    fingerprint: bytes
    created_by: str


class AccessStore:
    """The tables of access."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def revision(self) -> int:
        return int(await self._database.fetchval("access.revision", _REVISION))

    async def held(self) -> Revocations:
        """Read all that gateways hold; the revision first, so that what is newer than it is read again at worst."""
        revision = await self.revision()
        keys = await self._database.fetch("api_keys.good", _GOOD_KEYS)
        kicks = await self._database.fetch("kicks.all", _KICKS)
        revoked = await self._database.fetch("families.revoked", _REVOKED)
        return Revocations(
            revision=revision,
            keys={row["fingerprint"]: KeyHeld(row["key_id"], Role(row["role"])) for row in keys},
            key_ids=frozenset(row["key_id"] for row in keys),
            kicks={row["peer_id"]: Kick(row["until"], row["reason"]) for row in kicks},
            families=frozenset(row["family_id"] for row in revoked),
        )

    async def secret(self, otherwise: str) -> str:
        """Give the secret that is kept here; the first gateway to ask keeps its own."""
        await self._database.execute("signing_secret.keep", _KEEP_SECRET, otherwise)
        return str(await self._database.fetchval("signing_secret.read", _SECRET))

    async def add_key(self, key: NewKey, now: datetime, row: OutboxRow) -> None:
        async def work(transaction: Transaction) -> None:
            values = (key.key_id, key.role, key.name, key.fingerprint, now, key.created_by)
            await transaction.execute("api_keys.add", _ADD_KEY, *values)
            await _changed(transaction, row)

        await self._database.transact(work)

    async def keys(self, limit: int, cursor: str | None) -> list[ApiKey]:
        return [_key(row) for row in await self._database.fetch("api_keys.list", _KEYS, cursor, limit)]

    async def revoke_key(self, key_id: str, now: datetime, row: OutboxRow) -> ApiKey | None:
        """Revoke a key, once; None if there is none of that id."""

        async def work(transaction: Transaction) -> ApiKey | None:
            found = await transaction.fetchrow("api_keys.revoke", _REVOKE_KEY, key_id, now)
            if found is None:
                return None
            if found["revoked_at"] == now:
                await _changed(transaction, row)
            return _key(found)

        return await self._database.transact(work)

    async def kick(
        self, peer_id: str, until: datetime, reason: str, kicked_by: str, now: datetime, row: OutboxRow
    ) -> datetime:
        """Keep a peer out; a longer kick stays. Gives its end."""

        async def work(transaction: Transaction) -> datetime:
            values = (peer_id, until, reason, kicked_by, now)
            end: datetime = await transaction.fetchval("kicks.add", _KICK, *values)
            await _changed(transaction, row)
            return end

        return await self._database.transact(work)

    async def add_family(self, family: Family, row: OutboxRow) -> None:
        async def work(transaction: Transaction) -> None:
            await transaction.execute("families.add", _ADD_FAMILY, *_values(family))
            await tell(transaction, [row])

        await self._database.transact(work)

    async def advance(
        self, family_id: str, generation: int, now: datetime, row: OutboxRow, *, by_exchange: bool
    ) -> Family | None:
        """Make the next generation the good one; None if this one is not the present one, or the family has ended."""

        async def work(transaction: Transaction) -> Family | None:
            found = await transaction.fetchrow("families.advance", _ADVANCE, family_id, generation, now, by_exchange)
            if found is None:
                return None
            await tell(transaction, [row])
            return _family(found)

        return await self._database.transact(work)

    async def family(self, family_id: str) -> Family | None:
        row = await self._database.fetchrow("families.by_id", _BY_ID, family_id)
        return _family(row) if row is not None else None

    async def revoke_family(self, family_id: str, now: datetime, row: OutboxRow) -> None:
        """Revoke a family, once."""

        async def work(transaction: Transaction) -> None:
            if await transaction.execute("families.revoke", _REVOKE_FAMILY, family_id, now) == "UPDATE 1":
                await _changed(transaction, row)

        await self._database.transact(work)

    async def is_keyed(self, peer_id: str, now: datetime) -> bool:
        """Whether somebody with a key has had a token made for this peer that may still be in use."""
        return bool(await self._database.fetchval("families.keyed", _KEYED, peer_id, now))

    async def tell(self, rows: Sequence[OutboxRow]) -> None:
        await tell(self._database, rows)

    async def forget(self, families_before: datetime, kicks_before: datetime) -> None:
        """Delete what no token refers to any more; what is held of it meanwhile refuses nobody else."""
        await self._database.execute("families.forget", _FORGET_FAMILIES, families_before)
        await self._database.execute("kicks.forget", _FORGET_KICKS, kicks_before)


async def _changed(transaction: Transaction, row: OutboxRow) -> None:
    # The revision's row last: whoever holds it waits for nothing any more.
    await tell(transaction, [row])
    await transaction.execute("access.raise", _RAISE)


def _key(row: Record) -> ApiKey:
    return ApiKey.model_validate(dict(row))


def _family(row: Record) -> Family:
    return Family(**{**dict(row), "role": Role(row["role"])})


def _values(family: Family) -> tuple[Any, ...]:
    return tuple(getattr(family, name.strip()) for name in _FAMILY.split(","))
