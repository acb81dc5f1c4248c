"""Tokens are made, refreshed and exchanged; each of a family once, by a conditional write."""

from dataclasses import replace
from datetime import datetime

from chassis.clock import Clock
from chassis.ids import new_event_id
from contracts.access import AuditAction, Role, TokenAnswer

from signaling_gateway.access.auditing import Audit
from signaling_gateway.access.doorman import Doorman, Headers
from signaling_gateway.access.errors import BadTokenError, ForbiddenError
from signaling_gateway.access.families import Family, Late, judge_late
from signaling_gateway.access.identity import Identity
from signaling_gateway.access.memory import Memory
from signaling_gateway.access.store import AccessStore
from signaling_gateway.access.tokens import FAMILY_LIFE, Tokens
from signaling_gateway.access.wishes import WarpDoor, Wish, granted


class Issuing:
    """Families side by side; of one, whoever comes second finds its generation gone."""

    def __init__(
        self,
        *,
        store: AccessStore,
        memory: Memory,
        doorman: Doorman,
        tokens: Tokens,
        door: WarpDoor,
        audit: Audit,
        clock: Clock,
    ) -> None:
        self._store = store
        self._memory = memory
        self._doorman = doorman
        self._tokens = tokens
        self._door = door
        self._audit = audit
        self._clock = clock

    async def issue(self, wish: Wish, by: Identity) -> TokenAnswer:
        """Make the first token of a family."""
        now = self._clock.now()
        identity = granted(wish, by, self._door, enforced=self._doorman.enforced)
        await self._admit(identity, now)
        family = _begun(identity, now)
        await self._store.add_family(family, self._audit.row(AuditAction.TOKEN_ISSUED, by, identity.peer_id))
        return self._answer(family, now)

    async def refresh(self, refresh_token: str) -> TokenAnswer:
        """Take a refresh token, once, for the next tokens; used twice it ends its family."""
        return await self._advance(self._doorman.by_refresh_token(refresh_token), by_exchange=False)

    async def exchange(self, headers: Headers) -> TokenAnswer:
        """Take an access token, once, for the next tokens; for who has lost the answer a minute longer."""
        return await self._advance(self._doorman.by_ending_token(headers), by_exchange=True)

    def ticket(self, peer_id: str, session_id: str, by: Identity) -> str | None:
        """Make what opens a socket in one session, soon; None where sockets are open to anybody."""
        if not self._doorman.enforced:
            return None
        bearer = Identity(Role.PLAYER, peer_id, peer_id, session_id=session_id, key_id=by.key_id)
        return self._tokens.ticket(replace(bearer, family_id=by.family_id), self._clock.now(), new_event_id())

    async def _advance(self, identity: Identity, *, by_exchange: bool) -> TokenAnswer:
        now = self._clock.now()
        if identity.family_id is None or identity.peer_id is None:
            raise BadTokenError("of no family")
        await self._admit(identity, now)
        told = self._audit.row(AuditAction.TOKEN_REFRESHED, identity, identity.peer_id)
        family = await self._store.advance(
            identity.family_id, identity.generation, now, told, by_exchange=by_exchange
        ) or await self._late(identity, identity.family_id, now, by_exchange=by_exchange)
        return self._answer(family, now)

    async def _late(self, identity: Identity, family_id: str, now: datetime, *, by_exchange: bool) -> Family:
        family = await self._store.family(family_id)
        match judge_late(family, identity.generation, now, by_exchange=by_exchange):
            case Late.REPEAT if family is not None:
                return family
            case Late.REVOKE:
                told = self._audit.row(
                    AuditAction.TOKENS_REVOKED, identity, identity.peer_id, "refresh token used twice"
                )
                await self._store.revoke_family(family_id, now, told)
                await self._memory.changed()
                raise BadTokenError("used before; its family is revoked")
            case _:
                raise BadTokenError("used before, or its family has ended")

    async def _admit(self, identity: Identity, now: datetime) -> None:
        """Keep out who is kicked, and who without a key takes the name of somebody who has one."""
        peer_id = identity.peer_id or ""
        self._doorman.admit(peer_id, now)
        if identity.role is Role.ANONYMOUS:
            if not self._door.admits(peer_id):
                raise ForbiddenError("Clients without a key are not let in under this peer_id.")
            if await self._store.is_keyed(peer_id, now):
                raise ForbiddenError("This peer_id is in use by somebody with a key.")

    def _answer(self, family: Family, now: datetime) -> TokenAnswer:
        bearer = Identity(
            family.role,
            family.peer_id,
            peer_id=family.peer_id,
            host_id=family.host_id,
            key_id=family.key_id,
            family_id=family.family_id,
            generation=family.generation,
        )
        access = self._tokens.access(bearer, now, new_event_id())
        return TokenAnswer(
            token=access,
            access_token=access,
            refresh_token=self._tokens.refresh(bearer, now, new_event_id(), family.expires_at),
            expires_in=int(self._tokens.life.total_seconds()),
        )


def _begun(identity: Identity, now: datetime) -> Family:
    return Family(
        family_id=new_event_id(),
        role=identity.role,
        peer_id=identity.peer_id or "",
        host_id=identity.host_id,
        key_id=identity.key_id,
        generation=1,
        advanced_at=now,
        by_exchange=False,
        expires_at=now + FAMILY_LIFE,
    )
