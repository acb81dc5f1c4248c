"""A host's dealings with the coordinator over REST: register, beat, drain, unregister, and what it asks."""

from collections.abc import Mapping, Sequence
from typing import TypeVar
from urllib.parse import quote

import aiohttp
from contracts.frames import IceServer
from contracts.hosts import Heartbeat, Host, RegisterHost
from contracts.refusals import Code, Refusal
from contracts.sessions import Session
from contracts.subjects import Message
from pydantic import BaseModel, TypeAdapter, ValidationError

from sdk.errors import RefusedError, UnreachableError, words_of

Answer = TypeVar("Answer")

PATIENCE = aiohttp.ClientTimeout(total=5)
"""Every REST answer comes within 4 s; the rest is for the way."""


class _IceServers(Message):
    ice_servers: tuple[IceServer, ...]


class _Problem(BaseModel):
    """The body of a refused REST call."""

    code: Code
    detail: object


class Registration:
    """One host at one coordinator; every method raises RefusedError or UnreachableError."""

    def __init__(self, http: aiohttp.ClientSession, url: str, host: RegisterHost, token: str | None) -> None:
        self._http = http
        self._api = url.rstrip("/") + "/api/v1"
        self._host = host
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._own = f"/hosts/{quote(host.host_id, safe='')}"

    async def register(self) -> Host:
        """Make the host known, or renew what is known of it."""
        return await self._ask("POST", "/hosts/register", TypeAdapter(Host), self._host)

    async def beat(self, beat: Heartbeat) -> Host:
        """Tell that the host lives; the answer comes when that is stored."""
        return await self._ask("POST", f"{self._own}/heartbeat", TypeAdapter(Host), beat)

    async def drain(self) -> Host:
        """Ask for no new session, and have the present ones moved away."""
        return await self._ask("POST", f"{self._own}/drain", TypeAdapter(Host))

    async def unregister(self) -> None:
        """Have the host forgotten."""
        await self._read("DELETE", self._own)

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
        body = await self._read(method, path, question)
        try:
            return answer.validate_json(body)
        except ValidationError as error:
            raise UnreachableError(self._api + path, "what answers there is no coordinator") from error

    async def _read(self, method: str, path: str, question: Message | None = None) -> bytes:
        headers = dict(self._headers)
        data = None
        if question is not None:
            headers["Content-Type"] = "application/json"
            data = question.model_dump_json(exclude_unset=True)
        try:
            async with self._http.request(
                method, self._api + path, data=data, headers=headers, timeout=PATIENCE
            ) as response:
                body = await response.read()
                if response.ok:
                    return body
                raise RefusedError(_refusal(response.status, response.headers, body))
        except TimeoutError as error:
            raise UnreachableError(self._api + path, "no answer in time") from error
        except aiohttp.ClientError as error:
            raise UnreachableError(self._api + path, words_of(error)) from error


def _refusal(status: int, headers: Mapping[str, str], body: bytes) -> Refusal:
    retry_after = headers.get("Retry-After", "")
    retry_after_s = float(retry_after) if retry_after.isdigit() else None
    try:
        problem = _Problem.model_validate_json(body)
    except ValidationError:
        return Refusal(code=Code.INTERNAL, detail=f"HTTP status {status}", retry_after_s=retry_after_s)
    return Refusal(code=problem.code, detail=str(problem.detail), retry_after_s=retry_after_s)
