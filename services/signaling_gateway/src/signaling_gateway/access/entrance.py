"""Who may open a socket, which frames they may send on it, and under which name."""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NoReturn

from chassis.clock import Clock
from contracts.access import AuditAction, Role

from signaling_gateway.access.auditing import Audit
from signaling_gateway.access.doorman import Doorman, Headers
from signaling_gateway.access.errors import BadTokenError, ForbiddenError, UnauthenticatedError
from signaling_gateway.access.identity import Identity
from signaling_gateway.access.permissions import frames_of
from signaling_gateway.access.wishes import SHUT, WarpDoor

SOCKET = "signaling socket"

IsKeyed = Callable[[str, datetime], Awaitable[bool]]
HostOf = Callable[[str], Awaitable[str | None]]
"""The host whose peer this is, if it is one's."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Somebody who has opened a socket: all that a frame's reader looks at."""

    identity: Identity
    frames: frozenset[str]
    """The kinds that they may send."""
    trusting: bool
    """Nobody is asked who they are: what is not contradicted is believed."""
    address: str = ""
    """For the record: who has no token has a name of their own choice, or none yet."""

    def may_host(self, host_id: str) -> bool:
        """Whether what is said here may be this host's word."""
        return self.identity.host_id == host_id or (self.trusting and self.identity.host_id is None)


class Entrance:
    """In front of every socket."""

    def __init__(
        self,
        *,
        doorman: Doorman,
        door: WarpDoor,
        is_keyed: IsKeyed,
        host_of: HostOf,
        audit: Audit,
        clock: Clock,
        kinds: Collection[str],
    ) -> None:
        self._doorman = doorman
        self._door = door
        self._is_keyed = is_keyed
        self._host_of = host_of
        self._audit = audit
        self._clock = clock
        # Here, so that a kind of frame without a row in the table keeps the gateway from starting.
        self._frames = {role: frames_of(role, kinds, enforced=doorman.enforced) for role in Role}

    def enter(self, headers: Headers, token: str | None, address: str, *, is_game_client: bool) -> Entry:
        """Say who opens a socket; UnauthenticatedError who may not."""
        try:
            identity = self._shown(headers, token, is_game_client=is_game_client)
        except UnauthenticatedError as error:
            why = error.why if isinstance(error, BadTokenError) else error.refusal.detail
            self._audit.refused(AuditAction.TOKEN_REFUSED, Identity(Role.ANONYMOUS, address), address, SOCKET, why)
            raise
        return Entry(identity, self._frames[identity.role], not self._doorman.enforced, address)

    def _shown(self, headers: Headers, token: str | None, *, is_game_client: bool) -> Identity:
        identity = self._doorman.by_socket(headers, token)
        if identity.peer_id is not None or not self._doorman.enforced:
            return identity
        if not is_game_client:
            raise UnauthenticatedError("A token is needed: POST /api/v1/auth/token makes one.")
        if not self._door.is_open:
            raise UnauthenticatedError(SHUT)
        return identity

    async def name(self, entry: Entry, peer_id: str) -> Entry:
        """Let somebody be this peer; ForbiddenError if it is another."""
        identity, now = entry.identity, self._clock.now()
        if identity.peer_id is not None:
            if identity.peer_id != peer_id:
                raise ForbiddenError("The token is another peer's.")
        else:
            await self._without_token(peer_id, now)
            identity = replace(identity, peer_id=peer_id, issued_at=now)
        if self._doorman.enforced and identity.role is not Role.HOST and await self._host_of(peer_id) is not None:
            raise ForbiddenError("This is a host's peer: it needs the token of the host.")
        if identity is not entry.identity:
            self._doorman.admit(peer_id, now)  # after all that was waited for
        return replace(entry, identity=identity)

    async def _without_token(self, peer_id: str, now: datetime) -> None:
        if not self._doorman.enforced:
            return
        if not self._door.admits(peer_id):
            raise ForbiddenError("Clients without a token may not have this peer_id.")
        if await self._is_keyed(peer_id, now):
            raise ForbiddenError("This peer_id is in use by somebody with a key.")

    def forbid(self, entry: Entry, kind: str) -> NoReturn:
        """Refuse a kind of frame, and put that on record."""
        identity = entry.identity
        self._audit.refused(AuditAction.PERMISSION_REFUSED, identity, entry.address, kind, SOCKET)
        raise ForbiddenError(f"A {identity.role} may not send {kind}.")

    def flooded(self, entry: Entry, why: str) -> None:
        """Put on record that somebody is closed who sent too much."""
        self._audit.refused(AuditAction.PERMISSION_REFUSED, entry.identity, entry.address, SOCKET, why)
