"""From what somebody shows, a header or a token, to who they are; asks nobody.

A token that was verified once is known by its hash until it ends: what is left each time is whether it was revoked.
"""

import re
from collections.abc import Iterable
from datetime import datetime
from hashlib import blake2b

from chassis.clock import Clock
from contracts.access import Role

from signaling_gateway.access.errors import BadTokenError, ForbiddenError, UnauthenticatedError
from signaling_gateway.access.identity import ANYBODY, Identity
from signaling_gateway.access.memory import Memory
from signaling_gateway.access.tokens import ACCESS, REFRESH, REFRESHED_UP_TO, TICKET, Tokens

MOST_REMEMBERED = 20_000
"""Tokens; about 10 MB."""

_AUTHORIZATION = b"authorization"
_API_KEY = b"x-api-key"
_SHOWING = frozenset({_AUTHORIZATION, _API_KEY})
_BEARER = re.compile(rb"[Bb][Ee][Aa][Rr][Ee][Rr] ([A-Za-z0-9._~+/=-]+)")
_KEY = re.compile(rb"[\x21-\x7e]+")

DOTS_OF_A_TOKEN = 2
"""What has fewer or more between `Bearer` and the end is an API key."""

Headers = Iterable[tuple[bytes, bytes]]


class Doorman:
    """Knows the modes, and what counts in each."""

    def __init__(
        self, memory: Memory, tokens: Tokens, clock: Clock, *, enforced: bool, checks_keys: bool, checks_tokens: bool
    ) -> None:
        """`checks_keys`, `checks_tokens`: whether one that is given, and no good, is refused in open mode too."""
        self.enforced = enforced
        self._memory = memory
        self._tokens = tokens
        self._clock = clock
        self._checks_keys = enforced or checks_keys
        self._checks_tokens = enforced or checks_tokens
        self._known: dict[bytes, Identity] = {}

    def by_headers(self, headers: Headers, *, keys_alone: bool = False) -> Identity:
        """Say who sends a request; UnauthenticatedError when what they show is no good, or is two things at once.

        `keys_alone`: a token is not looked at; who asks for one may send along the one that has ended.
        """
        shown = [(name, value) for name, value in headers if name in _SHOWING]
        if keys_alone:
            shown = [(name, value) for name, value in shown if name == _API_KEY or not _is_token(value)]
        if not shown:
            return ANYBODY
        if len({name for name, _ in shown}) < len(shown) or (self.enforced and len(shown) > 1):
            raise UnauthenticatedError("Send one X-API-Key or one Authorization header.")
        given = dict(shown)
        if _AUTHORIZATION in given:
            return self._by_authorization(given[_AUTHORIZATION])
        return self._by_api_key(given[_API_KEY])

    def by_socket(self, headers: Headers, token: str | None) -> Identity:
        """Say who opens a socket: by an access token, or by a ticket, which opens nothing else."""
        bearers = [_bearer(value) for name, value in headers if name == _AUTHORIZATION]
        shown = [found[1].decode() for found in bearers if found is not None and (self.enforced or _is_token(found[1]))]
        if len(shown) + (token is not None) > 1:
            raise UnauthenticatedError("Send one token, in the URL or in the Authorization header.")
        token = shown[0] if shown else token
        if token is None or not self._checks_tokens:
            return ANYBODY
        return self._unrevoked(self._tokens.read(token, self._clock.now(), (ACCESS, TICKET)))

    def by_refresh_token(self, token: str) -> Identity:
        return self._unrevoked(self._tokens.read(token, self._clock.now(), (REFRESH,)))

    def by_ending_token(self, headers: Headers) -> Identity:
        """Say whose access token is to be exchanged; it may have ended a little while ago."""
        shown = [value for name, value in headers if name == _AUTHORIZATION]
        found = _bearer(shown[0]) if len(shown) == 1 else None
        if found is None:
            raise UnauthenticatedError("Send the refresh_token, or the access token as `Authorization: Bearer`.")
        token = found[1].decode()
        return self._unrevoked(self._tokens.read(token, self._clock.now(), late=REFRESHED_UP_TO))

    def by_key(self, key: str) -> Identity | None:
        """Say who holds an API key; None if nobody does."""
        found = self._memory.held.holder_of(key)
        return None if found is None else Identity(found.role, found.key_id, key_id=found.key_id)

    def admit(self, peer_id: str, now: datetime) -> None:
        """Refuse to give a token, or a name on a socket, to a peer that is kicked at present."""
        if (kick := self._memory.held.keeps_out(peer_id, now)) is not None:
            raise ForbiddenError("The peer was kicked.", retry_after_s=(kick.until - now).total_seconds())

    def _by_authorization(self, value: bytes) -> Identity:
        digest = blake2b(value, digest_size=16).digest()
        known = self._known.get(digest)
        if known is not None:
            if known.expires_at is None or self._clock.now() >= known.expires_at:
                raise BadTokenError("expired")
            return self._unrevoked(known)
        identity = self._read(value)
        if identity.expires_at is not None:
            self._remember(digest, identity)
        return identity

    def _read(self, value: bytes) -> Identity:
        found = _bearer(value)
        if found is None:
            if self.enforced or value[:7].lower() == b"bearer ":
                raise UnauthenticatedError("Authorization must be `Bearer` and a token, with one blank between.")
            return ANYBODY  # for a proxy on the way, perhaps
        if not _is_token(value):
            return self._by_api_key(found[1])
        if not self._checks_tokens:
            return ANYBODY
        return self._unrevoked(self._tokens.read(found[1].decode(), self._clock.now()))

    def _by_api_key(self, value: bytes) -> Identity:
        identity = self.by_key(value.decode()) if _KEY.fullmatch(value) else None
        if identity is None and self._checks_keys:
            raise UnauthenticatedError("The API key is not known, or was revoked.")
        return identity or ANYBODY

    def _unrevoked(self, identity: Identity) -> Identity:
        if self.enforced and identity.key_id is None and identity.role is not Role.ANONYMOUS:
            raise BadTokenError("made in open mode, where anybody gets one")
        if (why := self._memory.held.against(identity)) is not None:
            raise BadTokenError(why)
        return identity

    def _remember(self, digest: bytes, identity: Identity) -> None:
        if len(self._known) >= MOST_REMEMBERED:
            del self._known[next(iter(self._known))]
        self._known[digest] = identity


def _bearer(authorization: bytes) -> re.Match[bytes] | None:
    return _BEARER.fullmatch(authorization)


def _is_token(authorization: bytes) -> bool:
    return authorization.count(b".") == DOTS_OF_A_TOKEN
