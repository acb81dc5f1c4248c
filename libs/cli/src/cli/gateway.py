"""The requests of the contracts, asked of a gateway over REST: where each of them stands there."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar
from urllib.parse import parse_qs, quote, urlsplit

import aiohttp
from contracts.access import CREATE_KEY, KICK, LIST_KEYS, REVOKE_KEY
from contracts.hosts import DELETE_HOST, DRAIN_HOST, FIND_HOSTS, LIST_HOSTS
from contracts.refusals import Code, Refusal
from contracts.sessions import (
    END_SESSION,
    EXPLAIN_SESSION,
    GET_SESSION,
    LIST_SESSION_EVENTS,
    LIST_SESSIONS,
    MIGRATE_SESSION,
)
from contracts.subjects import Message, Rpc
from contracts.zones import EXPLAIN_ZONE, GET_ZONE, LIST_ZONES, SET_ZONE_P2P, SET_ZONE_STATUS
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from sdk.errors import RefusedError, UnreachableError, words_of

Question = TypeVar("Question", bound=Message)
Answer = TypeVar("Answer", bound=BaseModel)

API = "/api/v1"


@dataclass(frozen=True)
class Route:
    """Where a request stands: what its path does not name goes into the query or, with `body`, into a JSON object."""

    method: str
    path: str | Callable[[Mapping[str, Any]], str]
    body: bool = False
    shaped: Callable[[Any], Any] = lambda answer: answer
    """How the answer looks on NATS."""


def _switch(fields: Mapping[str, Any]) -> str:
    return "/zones/{zone_id}/enable-p2p" if fields["p2p_enabled"] else "/zones/{zone_id}/disable-p2p"


def _sessions(fields: Mapping[str, Any]) -> str:
    return "/sessions/host/{host_id}/active" if fields.get("live") else "/sessions"


ROUTES: Mapping[str, Route] = {
    LIST_HOSTS.subject: Route("GET", "/hosts"),
    FIND_HOSTS.subject: Route("GET", "/hosts/{host_id}/standing", shaped=lambda one: {"candidates": [one]}),
    DRAIN_HOST.subject: Route("POST", "/hosts/{host_id}/drain"),
    DELETE_HOST.subject: Route("DELETE", "/hosts/{host_id}"),
    LIST_ZONES.subject: Route("GET", "/zones"),
    GET_ZONE.subject: Route("GET", "/zones/{zone_id}"),
    EXPLAIN_ZONE.subject: Route("GET", "/zones/{zone_id}/explain"),
    SET_ZONE_STATUS.subject: Route("PATCH", "/zones/{zone_id}/status", body=True),
    SET_ZONE_P2P.subject: Route("POST", _switch),
    LIST_SESSIONS.subject: Route("GET", _sessions),
    GET_SESSION.subject: Route("GET", "/sessions/{session}"),
    END_SESSION.subject: Route("POST", "/sessions/{session}/end", body=True),
    MIGRATE_SESSION.subject: Route("POST", "/sessions/{session}/migrate", body=True),
    EXPLAIN_SESSION.subject: Route("GET", "/sessions/{session}/explain"),
    LIST_SESSION_EVENTS.subject: Route("GET", "/sessions/{session}/events"),
    CREATE_KEY.subject: Route("POST", "/auth/keys", body=True),
    LIST_KEYS.subject: Route("GET", "/auth/keys"),
    REVOKE_KEY.subject: Route("DELETE", "/auth/keys/{key_id}"),
    KICK.subject: Route("POST", "/peers/{peer_id}/kick", body=True),
}


class Gateway:
    """Made by `calling`; asked as NATS is."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http = http
        self._url = url.rstrip("/").removesuffix(API)

    async def ask(self, rpc: Rpc[Question, Answer], question: Question, within: timedelta) -> Answer:
        """RefusedError when it says no, UnreachableError when nobody answers, or nobody of ours."""
        route = ROUTES[rpc.subject]
        fields = question.model_dump(mode="json", exclude_unset=True)
        template = route.path if isinstance(route.path, str) else route.path(fields)
        path = template.format_map({name: quote(str(value), safe="") for name, value in fields.items()})
        rest = {name: value for name, value in fields.items() if f"{{{name}}}" not in template and value is not None}
        sent: dict[str, Any] = {"json": rest} if route.body else {"params": _query(rest)}
        try:
            async with self._http.request(
                route.method,
                self._url + API + path,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=within.total_seconds()),
                **sent,
            ) as response:
                body = await response.read()
                if not response.ok:
                    raise RefusedError(self._refusal(response.status, body))
                link = response.links.get("next")
        except TimeoutError as error:
            raise UnreachableError(self._url, f"no answer within {within.total_seconds():g} s") from error
        except aiohttp.ClientSSLError as error:
            cause = "its certificate is not trusted here (SSL_CERT_FILE names the file of its authority)"
            raise UnreachableError(self._url, cause) from error
        except aiohttp.ClientError as error:
            raise UnreachableError(self._url, words_of(error)) from error
        return self._read(rpc, route, body, str(link["url"]) if link else None)

    def _read(self, rpc: Rpc[Question, Answer], route: Route, body: bytes, following: str | None) -> Answer:
        try:
            if "next_cursor" in rpc.answer.model_fields:
                [cursor] = parse_qs(urlsplit(following or "").query).get("cursor", [None])
                return rpc.answer.model_validate({"items": _decoded(body), "next_cursor": cursor})
            return rpc.answer.model_validate(route.shaped(_decoded(body)))
        except ValueError as error:
            raise self._stranger("what it says is not ours") from error

    def _refusal(self, status: int, body: bytes) -> Refusal:
        try:
            told = _Problem.model_validate_json(body)
        except ValidationError as error:
            raise self._stranger(f"HTTP {status}") from error
        return Refusal(code=told.code, detail=_in_words(told.detail), fields=told.fields)

    def _stranger(self, what: str) -> UnreachableError:
        return UnreachableError(f"a gateway at {self._url}", f"another program answers there ({what})")


class _Problem(BaseModel):
    """The body of a refused REST call."""

    code: Code
    detail: str | list[dict[str, Any]]
    fields: dict[str, Any] = {}


@asynccontextmanager
async def calling(url: str, key: str | None) -> AsyncIterator[Gateway]:
    async with aiohttp.ClientSession(headers={"X-API-Key": key} if key else None) as http:
        yield Gateway(http, url)


def _query(fields: Mapping[str, Any]) -> list[tuple[str, str]]:
    pairs = ((name, value) for name, values in fields.items() for value in _each(values))
    return [(name, str(value).lower() if isinstance(value, bool) else str(value)) for name, value in pairs]


def _each(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _decoded(body: bytes) -> Any:
    return from_json(body) if body else {}


def _in_words(detail: str | list[dict[str, Any]]) -> str:
    if isinstance(detail, str):
        return detail
    return "; ".join(f"{'.'.join(map(str, each.get('loc', [])))}: {each.get('msg')}" for each in detail)
