"""REST calls to a gateway: a typed answer, or an error that says what it means."""

from collections.abc import Mapping
from typing import TypeVar

import aiohttp
from contracts.refusals import Code, Refusal
from contracts.subjects import Message
from pydantic import BaseModel, TypeAdapter, ValidationError

from sdk.errors import RefusedError, UnreachableError, words_of

Answer = TypeVar("Answer")

PATIENCE = aiohttp.ClientTimeout(total=5)
"""Every REST answer comes within 4 s; the rest is for the way."""


class _Problem(BaseModel):
    """The body of a refused REST call."""

    code: Code
    detail: object


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
        body = await self._read(method, path, question, headers or {})
        try:
            return answer.validate_json(body or b"null")
        except ValidationError as error:
            raise UnreachableError(self._api + path, "what answers there is no coordinator") from error

    async def _read(self, method: str, path: str, question: Message | None, headers: Mapping[str, str]) -> bytes:
        data = None
        if question is not None:
            headers = {**headers, "Content-Type": "application/json"}
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


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _refusal(status: int, headers: Mapping[str, str], body: bytes) -> Refusal:
    retry_after = headers.get("Retry-After", "")
    retry_after_s = float(retry_after) if retry_after.isdigit() else None
    try:
        problem = _Problem.model_validate_json(body)
    except ValidationError:
        return Refusal(code=Code.INTERNAL, detail=f"HTTP status {status}", retry_after_s=retry_after_s)
    return Refusal(code=problem.code, detail=str(problem.detail), retry_after_s=retry_after_s)
