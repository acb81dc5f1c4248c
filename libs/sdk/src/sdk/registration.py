"""A host's dealings with the coordinator over REST: register, beat, drain, unregister, and what it asks."""

import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar
from urllib.parse import quote

import aiohttp
from contracts.frames import IceServer
from contracts.hosts import Heartbeat, Host, NameHost, RegisterHost
from contracts.refusals import Code
from contracts.sessions import Session
from contracts.subjects import Message
from pydantic import TypeAdapter

from sdk.errors import RefusedError
from sdk.rest import Rest, bearer
from sdk.tokens import Tokens

Answer = TypeVar("Answer")
Answered = TypeVar("Answered")


class _IceServers(Message):
    ice_servers: tuple[IceServer, ...]


class Registration:
    """One host at one coordinator; every method raises RefusedError, UnreachableError or NotAllowedError."""

    def __init__(self, rest: Rest, tokens: Tokens, host: RegisterHost) -> None:
        self._rest = rest
        self._tokens = tokens
        self._host = host.model_copy(update={"run_id": secrets.token_hex(8)})
        self._own = f"/hosts/{quote(host.host_id, safe='')}"

    async def register(self) -> Host:
        """Make the host known, or renew what is known of it."""
        return await self._ask("POST", "/hosts/register", TypeAdapter(Host), self._host)

    async def beat(self, beat: Heartbeat) -> Host:
        """Tell that the host lives; the answer comes when that is stored."""
        return await self._ask("POST", f"{self._own}/heartbeat", TypeAdapter(Host), beat)

    async def drain(self) -> Host:
        """Ask for no new session, and have the present ones moved away; CONFLICT when another run registered since."""
        run = NameHost(host_id=self._host.host_id, run_id=self._host.run_id)
        return await self._ask("POST", f"{self._own}/drain", TypeAdapter(Host), run)

    async def unregister(self) -> None:
        """Have the host forgotten; CONFLICT when another run registered since."""
        await self._ask("DELETE", f"{self._own}?run_id={self._host.run_id}", TypeAdapter(None))

    async def live_sessions(self) -> Sequence[Session]:
        """Ask which sessions this host serves now."""
        path = f"/sessions/host/{quote(self._host.host_id, safe='')}/active"
        return await self._ask("GET", path, TypeAdapter(tuple[Session, ...]))

    async def ice_servers(self) -> Sequence[IceServer]:
        """Ask for STUN servers and, where configured, TURN servers with credentials that last a while."""
        peer_id = quote(self._host.peer_id or self._host.host_id, safe="")
        answer = await self._ask("GET", f"/signaling/ice-servers?peer_id={peer_id}", TypeAdapter(_IceServers))
        return answer.ice_servers

    async def _ask(
        self, method: str, path: str, answer: TypeAdapter[Answer], question: Message | None = None
    ) -> Answer:
        return await self._shown(lambda shown: self._rest.ask(method, path, answer, question, shown))

    async def carry(
        self,
        method: str,
        path: str,
        data: bytes | None,
        patience: aiohttp.ClientTimeout,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[bytes, Mapping[str, str]]:
        """Send bytes, and give the answer's with its headers."""

        async def call(shown: Mapping[str, str] | None) -> tuple[bytes, Mapping[str, str]]:
            sent = {**(headers or {}), **(shown or {})}
            return await self._rest.carry(method, path, data, headers=sent, patience=patience)

        return await self._shown(call)

    async def _shown(self, call: Callable[[Mapping[str, str] | None], Awaitable[Answered]]) -> Answered:
        """Call with the token of now, and once more with another where that one is refused."""
        token = await self._tokens.now()
        try:
            return await call(bearer(token) if token else None)
        except RefusedError as error:
            if error.code is not Code.UNAUTHENTICATED:
                raise
            token = await self._tokens.instead_of(token, str(error.refusal.detail))
        return await call(bearer(token))
