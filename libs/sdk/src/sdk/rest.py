"""REST calls to a gateway: a typed answer, or an error that says what it means."""

from collections.abc import Mapping
from io import BytesIO
from typing import TypeVar

import aiohttp
from contracts.refusals import Code, Refusal
from contracts.subjects import Message
from pydantic import BaseModel, Field, JsonValue, TypeAdapter, ValidationError

from sdk.errors import RefusedError, UnreachableError, words_of

Answer = TypeVar("Answer")

PATIENCE = aiohttp.ClientTimeout(total=5)
"""Every REST answer comes within 4 s; the rest is for the way."""


class _Problem(BaseModel):
    """The body of a refused REST call."""

    code: Code
    detail: object
    fields: dict[str, JsonValue] = Field(default_factory=dict)


class Rest:
    """One gateway, or their balancer; every method raises RefusedError or UnreachableError."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http = http
        self._api = url.rstrip("/") + "/api/v1"

    async def ask(
        self,
        method: str,
        path: str,
        answer: TypeAdapter[Answer],
        question: Message | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        body = await self._read(method, path, question, headers)
        try:
            return answer.validate_json(body or b"null")
        except ValidationError as error:
            raise UnreachableError(self._api + path, "what answers there is no coordinator") from error

    async def _read(self, method: str, path: str, question: Message | None, headers: Mapping[str, str] | None) -> bytes:
        if question is None:
            body, _ = await self.carry(method, path, headers=headers)
            return body
        data = question.model_dump_json(exclude_unset=True).encode()
        body, _ = await self.carry(method, path, data, "application/json", headers=headers)
        return body

    async def carry(
        self,
        method: str,
        path: str,
        data: bytes | None = None,
        content_type: str = "application/octet-stream",
        *,
        headers: Mapping[str, str] | None = None,
        patience: aiohttp.ClientTimeout = PATIENCE,
    ) -> tuple[bytes, Mapping[str, str]]:
        """Send bytes and give the answer's, with its headers."""
        sent = {**(headers or {}), **({} if data is None else {"Content-Type": content_type})}
        try:
            async with self._http.request(
                method, self._api + path, data=data and BytesIO(data), headers=sent, timeout=patience
            ) as response:
                body = await response.read()
                if response.ok:
                    return body, response.headers
                raise RefusedError(_refusal(response.status, response.headers, body))
        except TimeoutError as error:
            raise UnreachableError(self._api + path, "no answer in time") from error
        except aiohttp.ClientError as error:
            raise UnreachableError(self._api + path, words_of(error)) from error


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _refusal(status: int, headers: Mapping[str, str], body: bytes) -> Refusal:
    retry_after = headers.get("Retry-After", "")
    retry_after_s = float(retry_after) if retry_after.isdigit() else None
    try:
        problem = _Problem.model_validate_json(body)
    except ValidationError:
        return Refusal(code=Code.INTERNAL, detail=f"HTTP status {status}", retry_after_s=retry_after_s)
    return Refusal(code=problem.code, detail=str(problem.detail), retry_after_s=retry_after_s, fields=problem.fields)
