"""Who sends a request, and whether they may: asked before its body is read, and of what it names once it is."""

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import NoReturn

from chassis.bus import Bus
from chassis.refusals import ServiceError
from chassis.requests import Caller, call
from contracts.access import AuditAction, Role
from contracts.sessions import GET_SESSION, NameSession, Session
from contracts.subjects import Message
from starlette.types import Scope

from signaling_gateway.access.auditing import Audit
from signaling_gateway.access.doorman import Doorman, Headers
from signaling_gateway.access.entrance import SOCKET
from signaling_gateway.access.errors import BadTokenError, ForbiddenError, StaleEpochError, UnauthenticatedError
from signaling_gateway.access.identity import ANYBODY, Identity
from signaling_gateway.access.permissions import (
    ALWAYS,
    HOSTS_IT,
    LOOPBACK,
    OF_SESSIONS,
    Condition,
    Permission,
    is_own,
    stands_in,
)
from signaling_gateway.limits.errors import TooManyRequestsError
from signaling_gateway.limits.turnstile import Turnstile

GATE = "signaling_gateway.gate"
"""Where the ASGI scope has the gate that its route asks."""
ADMISSION = "signaling_gateway.admission"
"""Where the ASGI scope has who sent the request."""

SHOW_WHO = "Send an API key as X-API-Key, or a token as `Authorization: Bearer`; POST /api/v1/auth/token makes one."

_EPOCH = re.compile(rb"(?:^|&)epoch=([0-9]{1,9})(?:&|$)")

_NAMES = ("host_id", "peer_id", "player_id")

SessionOf = Callable[[str], Awaitable[Session]]


@dataclass(frozen=True, slots=True)
class Admission:
    """Somebody who was let in to one route, and what is still to be asked of what they name there."""

    identity: Identity
    address: str
    kind: str
    condition: Condition
    headers: Headers
    """As they came; of two of one name both."""
    gate: "Gate"
    audited: AuditAction | None = None

    @property
    def caller(self) -> Caller | None:
        """Who it is, for the owners."""
        identity = self.identity
        return None if identity.role is Role.ANONYMOUS else Caller(identity.role, identity.name)

    @property
    def sees_hosts_whole(self) -> bool:
        """Whether addresses and owners of hosts are for these eyes."""
        return not self.gate.enforced or self.identity.role not in {Role.ANONYMOUS, Role.PLAYER}

    def check(self, question: Message) -> None:
        """Refuse a question that names what is another's: the question as it was understood, not as it was sent."""
        if self.condition is not ALWAYS:
            self.check_named(vars(question))

    def check_named(self, named: Mapping[str, str | None]) -> None:
        if not is_own(self.condition, self.identity, named):
            self.gate.forbid(self.identity, self.address, self.kind, self.condition.value)

    def refused(self, why: str) -> None:
        """Put on record that a token or key was refused."""
        self.gate.audit.refused(AuditAction.TOKEN_REFUSED, self.identity, self.address, self.kind, why)

    def done(self, params: Mapping[str, str]) -> None:
        """Put on record what was done, if that is done for its kind."""
        if self.audited is not None:
            self.gate.audit.done(self.audited, self.identity, ", ".join(params.values()))


class Gate:
    """In front of every route."""

    def __init__(
        self,
        doorman: Doorman,
        turnstile: Turnstile,
        audit: Audit,
        session_of: SessionOf,
        wrote: Callable[[], None] = lambda: None,
    ) -> None:
        """`wrote` is called when something was changed through here."""
        self.enforced = doorman.enforced
        self.audit = audit
        self.wrote = wrote
        self._doorman = doorman
        self._turnstile = turnstile
        self._session_of = session_of

    async def admit(self, scope: Scope, kind: str, permission: Permission, params: Mapping[str, str]) -> Admission:
        """Let in, as far as can be said without the body; a ServiceError says who may not, and why."""
        address = scope["client"][0] if scope["client"] else ""
        try:
            identity = self._doorman.by_headers(scope["headers"], keys_alone=permission.asks_for_token)
        except UnauthenticatedError as error:
            await self._count(kind, ANYBODY, address)
            why = error.why if isinstance(error, BadTokenError) else error.refusal.detail
            self.audit.refused(AuditAction.TOKEN_REFUSED, Identity(Role.ANONYMOUS, address), address, kind, why)
            raise
        await self._count(kind, identity, address)
        condition = permission.condition(identity.role, enforced=self.enforced)
        if condition is None:
            self._turn_away(identity, address, kind)
        admission = Admission(identity, address, kind, condition, scope["headers"], self, permission.audited)
        if condition is not ALWAYS:
            await self._check_path(admission, params, scope["query_string"])
        return admission

    async def count(self, scope: Scope) -> None:
        """Count a request that no route is found for; TooManyRequestsError when its sender has none left."""
        try:
            identity = self._doorman.by_headers(scope["headers"])
        except UnauthenticatedError:
            identity = ANYBODY
        await self._count("", identity, scope["client"][0] if scope["client"] else "")

    async def open_socket(self, scope: Scope) -> None:
        """Let a socket be opened; TooManyRequestsError when its address has opened too many."""
        address = scope["client"][0] if scope["client"] else ""
        with self._on_record(ANYBODY, address, SOCKET):
            await self._turnstile.connect(address)

    def forbid(self, identity: Identity, address: str, kind: str, why: str) -> NoReturn:
        self.audit.refused(AuditAction.PERMISSION_REFUSED, identity, address, kind, why)
        raise ForbiddenError(why)

    async def _count(self, kind: str, identity: Identity, address: str) -> None:
        with self._on_record(identity, address, kind):
            await self._turnstile.request(kind, identity, address)

    @contextmanager
    def _on_record(self, identity: Identity, address: str, kind: str) -> Iterator[None]:
        """Put it on record if there is too much of something."""
        try:
            yield
        except TooManyRequestsError as error:
            self.audit.refused(AuditAction.PERMISSION_REFUSED, identity, address, kind, error.refusal.detail)
            raise

    async def _check_path(self, admission: Admission, params: Mapping[str, str], query: bytes) -> None:
        condition, identity = admission.condition, admission.identity
        if condition in OF_SESSIONS:
            session = await self._session_of(params["session"])
            standby = session.standby.host_id if session.standby is not None else None
            if not stands_in(condition, identity, session.host_id, session.connected_players, standby):
                if condition is HOSTS_IT and identity.role is Role.HOST and _says_earlier(query, session.epoch):
                    why = "its epoch is over"
                    self.audit.refused(AuditAction.PERMISSION_REFUSED, identity, admission.address, admission.kind, why)
                    raise StaleEpochError(session)
                self.forbid(identity, admission.address, admission.kind, condition.value)
        elif condition is LOOPBACK:
            if not _is_loopback(admission.address):
                self._turn_away(identity, admission.address, admission.kind)
        elif not params.keys().isdisjoint(_NAMES):
            admission.check_named(params)

    def _turn_away(self, identity: Identity, address: str, kind: str) -> NoReturn:
        if identity.role is Role.ANONYMOUS:
            self.audit.refused(AuditAction.PERMISSION_REFUSED, identity, address, kind, "nothing shown")
            raise UnauthenticatedError(SHOW_WHO)
        self.forbid(identity, address, kind, f"A {identity.role} may not do this.")


def sessions_of(bus: Bus) -> SessionOf:
    """Ask session_manager."""

    async def session_of(session: str) -> Session:
        return await call(bus, GET_SESSION, NameSession(session=session))

    return session_of


def headers_of(error: ServiceError) -> tuple[tuple[bytes, bytes], ...]:
    """What HTTP wants beside a 401."""
    return ((b"www-authenticate", b"Bearer"),) if isinstance(error, UnauthenticatedError) else ()


def _says_earlier(query: bytes, epoch: int) -> bool:
    """Whether whoever asks believes in an epoch that is over."""
    said = _EPOCH.search(query)
    return said is not None and int(said[1]) < epoch


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False
