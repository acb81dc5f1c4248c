"""Tokens for whoever may have them, and what verifies them; keys and kicks for operators.

`/auth`, `/peers/{peer_id}/kick`, `/.well-known/jwks.json`.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Literal, Self

from contracts.access import (
    ApiKey,
    CreateKey,
    KeyCreated,
    Kick,
    Kicked,
    ListKeys,
    RevokeKey,
    Role,
    TokenAnswer,
)
from contracts.identifiers import Identifier
from contracts.refusals import Code
from contracts.subjects import Message
from contracts.values import LongText, Text
from pydantic import JsonValue, model_validator

from signaling_gateway.access.administration import Administration
from signaling_gateway.access.doorman import Doorman
from signaling_gateway.access.errors import BadTokenError, ForbiddenError, UnauthenticatedError
from signaling_gateway.access.identity import Identity
from signaling_gateway.access.issuing import Issuing
from signaling_gateway.access.signing import PublicKey
from signaling_gateway.access.wishes import Wish
from signaling_gateway.http.framework import examples
from signaling_gateway.http.framework.exchange import Answer, Answering, Request
from signaling_gateway.http.framework.reading import Reading
from signaling_gateway.http.framework.routing import API, Route


class TokenWish(Message):
    """A token for a player or a host, by a server's key; or for the game client that asks, with `peer_id`."""

    player_id: Identifier | None = None
    peer_id: Identifier | None = None
    """Of a host: where it is not its `host_id`."""
    role: Literal[Role.PLAYER, Role.HOST] = Role.PLAYER
    host_id: Identifier | None = None
    """For the role `host`."""
    api_key: Text | None = None
    """In place of the header X-API-Key."""
    user_id: Text | None = None
    client_version: Text | None = None
    timestamp: JsonValue = None

    @model_validator(mode="after")
    def _names_somebody(self) -> Self:
        if self.player_id is None and self.peer_id is None:
            raise ValueError("player_id or peer_id is required")
        if self.role is Role.HOST and self.host_id is None:
            raise ValueError("host_id is required for the role host")
        return self

    def wish(self) -> Wish:
        if self.role is Role.HOST:
            return Wish(self.peer_id or self.host_id or "", Role.HOST, self.host_id)
        return Wish(self.player_id or self.peer_id or "", from_client=self.player_id is None)


KEYS_KEPT_FOR = timedelta(minutes=5)
"""How long somebody may go by the keys they have fetched. A key that leaked is believed for as long after its end."""


class VerifyingKey(Message):
    """A JSON Web Key (RFC 7517, RFC 8037)."""

    kty: Literal["OKP"] = "OKP"
    crv: Literal["Ed25519"] = "Ed25519"
    x: str
    """The public key, in base64url."""
    kid: str
    """As the header of a token that it has signed says; RFC 7638's thumbprint."""
    use: Literal["sig"] = "sig"
    alg: Literal["EdDSA"] = "EdDSA"


class VerifyingKeys(Message):
    """Those whose tokens hold; the one that signs first."""

    keys: tuple[VerifyingKey, ...]


class Refresh(Message):
    """A refresh token; or nothing, and the access token as `Authorization: Bearer`."""

    refresh_token: LongText | None = None


def auth_routes(
    issuing: Issuing, doorman: Doorman, administration: Administration, public_keys: Sequence[PublicKey]
) -> list[Route]:
    """Every route of this module."""
    return [
        _verifying_keys(public_keys),
        *_token_routes(issuing, doorman),
        _refresh(issuing),
        *_key_routes(administration),
        _kick(administration),
    ]


def _verifying_keys(public_keys: Sequence[PublicKey]) -> Route:
    found = VerifyingKeys(keys=tuple(VerifyingKey(x=key.x, kid=key.kid) for key in public_keys))
    body = found.model_dump_json().encode()
    headers = ((b"cache-control", b"public, max-age=%d" % KEYS_KEPT_FOR.total_seconds()),)

    async def answer(_request: Request) -> Answer:
        return Answer(body, headers=headers)

    return Route(
        "GET",
        "/.well-known/jwks.json",
        answer,
        answer=VerifyingKeys,
        summary="The public keys that verify tokens",
        description="A JSON Web Key Set. A token whose `kid` is not among those you have is a reason to ask again.",
        tag="auth",
    )


def _token_routes(issuing: Issuing, doorman: Doorman) -> Iterable[Route]:
    for path, summary in (("/auth/token", "Ask for a token"), ("/auth/login", "Ask for a token, as older programs do")):
        reading = Reading("POST", path, TokenWish)

        async def token(request: Request, reading: Reading[TokenWish] = reading) -> Answer:
            asked = reading.read(request)
            try:
                by = _by(request.admission.identity, asked.api_key, doorman)
                return _answer(await issuing.issue(asked.wish(), by))
            except (UnauthenticatedError, ForbiddenError) as error:
                request.admission.refused(error.refusal.detail)
                raise

        yield _route(reading, token, TokenAnswer, summary, examples=TOKEN_EXAMPLES)


def _by(identity: Identity, api_key: str | None, doorman: Doorman) -> Identity:
    """Who asks: by the header, else by the key in the body; two that differ are no proof of either."""
    if api_key is None:
        return identity
    by = doorman.by_key(api_key)
    if by is None:
        if doorman.enforced:
            raise UnauthenticatedError("The API key is not known, or was revoked.")
        return identity
    if identity.role is not Role.ANONYMOUS and identity != by:
        raise UnauthenticatedError("Send one API key, in the header or in the body.")
    return by


def _refresh(issuing: Issuing) -> Route:
    reading = Reading("POST", "/auth/refresh", Refresh)

    async def refresh(request: Request) -> Answer:
        asked = reading.read(request)
        try:
            if asked.refresh_token is not None:
                return _answer(await issuing.refresh(asked.refresh_token))
            return _answer(await issuing.exchange(request.admission.headers))
        except (UnauthenticatedError, ForbiddenError) as error:
            request.admission.refused(error.why if isinstance(error, BadTokenError) else error.refusal.detail)
            raise

    return _route(reading, refresh, TokenAnswer, "Take a token, once, for the next", examples=examples.REFRESH)


def _key_routes(administration: Administration) -> Iterable[Route]:
    creating = Reading("POST", "/auth/keys", CreateKey)
    listing = Reading("GET", "/auth/keys", ListKeys)
    revoking = Reading("DELETE", "/auth/keys/{key_id}", RevokeKey)

    async def create(request: Request) -> Answer:
        made = await administration.create_key(creating.read(request), request.admission.identity)
        return _answer(made, HTTPStatus.CREATED)

    async def show(request: Request) -> Answer:
        page = await administration.list_keys(listing.read(request))
        return Answer(b"[%s]" % b",".join(key.model_dump_json().encode() for key in page.items))

    async def revoke(request: Request) -> Answer:
        return _answer(await administration.revoke_key(revoking.read(request), request.admission.identity))

    return (
        _route(
            creating,
            create,
            KeyCreated,
            "Make an API key; it is shown once",
            status=HTTPStatus.CREATED,
            examples=examples.KEY,
        ),
        _route(listing, show, list[ApiKey], "List the API keys, newest first"),
        _route(revoking, revoke, ApiKey, "Revoke an API key and the tokens it asked for", codes=[Code.KEY_NOT_FOUND]),
    )


def _kick(administration: Administration) -> Route:
    reading = Reading("POST", "/peers/{peer_id}/kick", Kick)

    async def kick(request: Request) -> Answer:
        return _answer(await administration.kick(reading.read(request), request.admission.identity))

    return _route(reading, kick, Kicked, "Close a peer's sockets and refuse its tokens", examples=examples.KICK)


TOKEN_EXAMPLES = {
    "for a player": {"player_id": "player-67890"},
    "for a host": {"player_id": "player-67890", "role": "host", "host_id": "host-12345"},
    "by a game client": {"peer_id": "150001", "client_version": "1.0", "timestamp": "1700000000"},
}


def _route(
    reading: Reading[Any],
    answering: Answering,
    answer: Any,
    summary: str,
    *,
    codes: Iterable[Code] = (),
    status: HTTPStatus = HTTPStatus.OK,
    **about: Any,
) -> Route:
    return Route(
        reading.method,
        API + reading.path,
        answering,
        reading=reading,
        answer=answer,
        status=status,
        codes=(*codes, Code.INVALID, Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED),
        summary=summary,
        tag="auth",
        **about,
    )


def _answer(message: Message, status: HTTPStatus = HTTPStatus.OK) -> Answer:
    return Answer(message.model_dump_json().encode(), status)
