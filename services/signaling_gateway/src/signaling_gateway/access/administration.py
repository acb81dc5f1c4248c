"""Keys are made and revoked, peers kicked: rows first, then every gateway's memory, all within a second."""

import secrets
from datetime import timedelta

import structlog
from chassis.clock import Clock
from contracts.access import (
    ApiKey,
    AuditAction,
    CreateKey,
    KeyCreated,
    KeyPage,
    Kick,
    Kicked,
    ListKeys,
    RevokeKey,
)

from signaling_gateway.access import keys
from signaling_gateway.access.auditing import Audit
from signaling_gateway.access.errors import KeyNotFoundError
from signaling_gateway.access.identity import Identity
from signaling_gateway.access.memory import Memory
from signaling_gateway.access.store import AccessStore, NewKey

log = structlog.stdlib.get_logger()


class Administration:
    """What operators do about who may come in."""

    def __init__(self, store: AccessStore, memory: Memory, audit: Audit, clock: Clock) -> None:
        self._store = store
        self._memory = memory
        self._audit = audit
        self._clock = clock

    async def create_key(self, wish: CreateKey, by: Identity) -> KeyCreated:
        """Make a key; what is kept of it does not give it back."""
        key = keys.written(wish.role, secrets.token_bytes(keys.RANDOM_BYTES))
        kept = NewKey(keys.id_of(key), wish.role, wish.name, keys.fingerprint(key), by.name)
        told = self._audit.row(AuditAction.KEY_CREATED, by, kept.key_id, f"{wish.role}, {wish.name}")
        await self._store.add_key(kept, self._clock.now(), told)
        await self._memory.changed()
        return KeyCreated(key_id=kept.key_id, role=kept.role, name=kept.name, key=key)

    async def list_keys(self, question: ListKeys) -> KeyPage:
        found = await self._store.keys(question.limit + 1, question.cursor)
        items = tuple(found[: question.limit])
        return KeyPage(items=items, next_cursor=items[-1].key_id if len(found) > question.limit else None)

    async def revoke_key(self, question: RevokeKey, by: Identity) -> ApiKey:
        """Revoke a key and with it every token it has asked for; again is the same as once."""
        told = self._audit.row(AuditAction.KEY_REVOKED, by, question.key_id)
        revoked = await self._store.revoke_key(question.key_id, self._clock.now(), told)
        if revoked is None:
            raise KeyNotFoundError(f"There is no key {question.key_id}.")
        await self._memory.changed()
        return revoked

    async def kick(self, order: Kick, by: Identity) -> Kicked:
        """Refuse a peer's tokens and close its sockets, everywhere."""
        now = self._clock.now()
        told = self._audit.row(AuditAction.PEER_KICKED, by, order.peer_id, order.reason)
        until = await self._store.kick(
            order.peer_id, now + timedelta(seconds=order.for_s), order.reason, by.name, now, told
        )
        await self._memory.changed()
        log.info("access.kicked", peer_id=order.peer_id, until=until.isoformat())
        return Kicked(peer_id=order.peer_id, until=until, reason=order.reason)
