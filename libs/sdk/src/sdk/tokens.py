"""What a host shows to a coordinator that asks who calls: a token, made new in time, and when one was refused.

One renewal at a time: two at once would use the same refresh token twice, which ends all that came of it.
"""

import asyncio
import json
import logging
import math
import time
from base64 import urlsafe_b64decode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

import aiohttp
from contracts.access import Role, TokenAnswer
from contracts.hosts import RegisterHost
from contracts.refusals import Code
from contracts.subjects import Message
from pydantic import TypeAdapter

from sdk.errors import NotAllowedError, P2pError, RefusedError, UnreachableError
from sdk.rest import Rest, bearer

log = logging.getLogger(__name__)

SUPPLIED_WITHIN_S = 10.0
"""Beats wait for the token: a backend that never answers must not cost the host its place."""

RENEWED_AFTER = 0.8
"""Of its life: what is left is for a gateway or a game's backend that is away."""

_ANSWER = TypeAdapter(TokenAnswer)
_REFUSED = frozenset({Code.UNAUTHENTICATED, Code.FORBIDDEN})


@dataclass(frozen=True)
class ServerKey:
    """What `p2p keys create --role server` printed: for machines that the operator runs, and no player's."""

    key: str = field(repr=False)


TokenSupplier = Callable[[], Awaitable[str]]
"""Fetches an access token from the game's own backend. What it raises is taken for the backend being away, and it is
called again later; but for NotAllowedError, which ends the agent."""

Credentials = ServerKey | TokenAnswer | TokenSupplier


class _PlayerToken(Message):
    player_id: str


class _HostToken(Message):
    player_id: str
    host_id: str
    peer_id: str | None
    role: Literal[Role.HOST]


class _Refresh(Message):
    refresh_token: str


class TokenDesk:
    """Has tokens made with a server's key, as a game's backend does for its players and for hosts on their machines.

    Raises RefusedError or UnreachableError.
    """

    def __init__(self, http: aiohttp.ClientSession, url: str, key: ServerKey) -> None:
        self._rest = Rest(http, url)
        self._key = key

    async def for_player(self, player_id: str) -> TokenAnswer:
        return await self._ask(_PlayerToken(player_id=player_id))

    async def for_host(self, host: RegisterHost) -> TokenAnswer:
        wish = _HostToken(player_id=host.player_id, host_id=host.host_id, peer_id=host.peer_id, role=Role.HOST)
        return await self._ask(wish)

    async def _ask(self, wish: Message) -> TokenAnswer:
        return await self._rest.ask("POST", "/auth/token", _ANSWER, wish, {"X-API-Key": self._key.key})


class Tokens:
    """The token of one host; `renew` makes the next, None where nobody asks for any."""

    def __init__(self, renew: TokenSupplier | None, advice: str, held: str | None = None) -> None:
        self._renew = renew
        self._advice = advice
        self._renewing = asyncio.Lock()
        self._take(held)

    async def now(self) -> str | None:
        """Give the token to show; RefusedError, UnreachableError or NotAllowedError where there is none to be had."""
        if self._renew is None:
            return None
        async with self._renewing:
            if self._token is None:
                await self._replace(self._renew)
            elif time.monotonic() >= self._renew_at:
                try:
                    await self._replace(self._renew)
                except (RefusedError, UnreachableError) as error:
                    log.warning("the host's token could not be renewed yet: %s", error)
            return self._token

    async def instead_of(self, refused: str | None, why: str) -> str:
        """Give another token; NotAllowedError, which says what to do, where none can be had. Else as `now`."""
        if self._renew is None:
            raise NotAllowedError(f"{why}; {self._advice}")
        async with self._renewing:
            if self._token is None or self._token == refused:
                return await self._replace(self._renew)
            return self._token

    async def _replace(self, renew: TokenSupplier) -> str:
        try:
            token = await renew()
        except RefusedError as error:
            if error.code in _REFUSED:
                raise NotAllowedError(f"{error.refusal.detail}; {self._advice}") from error
            raise
        self._take(token)
        return token

    def _take(self, token: str | None) -> None:
        self._token = token
        self._renew_at = time.monotonic() + RENEWED_AFTER * (_life_of(token) if token else 0)


def tokens_for(host: RegisterHost, credentials: Credentials | None, http: aiohttp.ClientSession, url: str) -> Tokens:
    """Give what makes this host's tokens of its credentials."""
    match credentials:
        case None:
            return Tokens(None, "this coordinator asks who calls: give HostAgent `credentials`")
        case ServerKey():
            desk = TokenDesk(http, url, credentials)

            async def by_key() -> str:
                return (await desk.for_host(host)).token

            return Tokens(by_key, "is it a server's key of this coordinator? `p2p keys create --role server` makes one")
        case TokenAnswer():
            advice = "a pair of tokens lasts a day, and refreshes once: have the game's backend give new ones"
            return Tokens(_Refreshing(Rest(http, url), credentials).next, advice, credentials.token)
        case _:
            return Tokens(_supplied(credentials), "does the game's backend give tokens of the role host for this one?")


class _Refreshing:
    """A pair of tokens that is exchanged for the next pair."""

    def __init__(self, rest: Rest, pair: TokenAnswer) -> None:
        self._rest = rest
        self._pair = pair

    async def next(self) -> str:
        # The access token first: an exchange whose answer was lost may be repeated, a refresh token only looks stolen.
        try:
            self._pair = await self._exchanged(Message(), bearer(self._pair.token))
        except RefusedError as error:
            if error.code is not Code.UNAUTHENTICATED:
                raise
            self._pair = await self._exchanged(_Refresh(refresh_token=self._pair.refresh_token))
        return self._pair.token

    async def _exchanged(self, given: Message, headers: dict[str, str] | None = None) -> TokenAnswer:
        return await self._rest.ask("POST", "/auth/refresh", _ANSWER, given, headers)


def _supplied(supplier: TokenSupplier) -> TokenSupplier:
    async def supply() -> str:
        try:
            async with asyncio.timeout(SUPPLIED_WITHIN_S):
                return await supplier()
        except P2pError:
            raise
        except Exception as error:
            # The outermost edge: a game's own code, whose HTTP client has errors of its own for a backend that is away.
            raise UnreachableError("the game's backend", repr(error)) from error

    return supply


def _life_of(token: str) -> float:
    """For how many seconds it was made, by its own words; one without is used until it is refused."""
    try:
        claims = json.loads(urlsafe_b64decode(token.split(".")[1] + "=="))
        return float(claims["exp"]) - float(claims["iat"])
    except (IndexError, KeyError, TypeError, ValueError, RecursionError):
        return math.inf
