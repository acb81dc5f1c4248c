"""The AI service over HTTP: one question at a time, and nothing it may do to an answer does us harm.

Answers are bounded in time and size, redirects are not followed, and whether a body is JSON its content decides, not
what its headers claim. Our trace context stays with us: the service is not ours. A question is asked once: unlike
aiohttp, httpx does not ask again by itself when the service hangs up, and each time counts.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import StrEnum
from http import HTTPStatus
from urllib.parse import quote

import httpx
import orjson
from chassis import tracing
from prometheus_client import Counter

from scheduler.ai_service.budget import ANSWERED_WITHIN_S
from scheduler.ai_service.questions import AskCatalogue, AskEnvironment, AskHealth, AskNpc, Question

MOST_BYTES = 1024 * 1024
"""The largest state seen had 20 KB of memories; what is more than this is no state."""

API_KEY = "X-API-Key"


class Outcome(StrEnum):
    """What became of a request."""

    ANSWERED = "answered"
    ABSENT = "absent"
    NO_SUCH_PATH = "no_such_path"
    UNREADABLE = "unreadable"
    TOO_LARGE = "too_large"
    LIMITED = "limited"
    REFUSED = "refused"
    REDIRECTED = "redirected"
    UNREACHABLE = "unreachable"
    TOO_SLOW = "too_slow"


REQUESTS = Counter(
    "p2p_ai_service_requests", "Requests to the AI service, by question and outcome.", ["ask", "outcome"]
)


class AbsentError(Exception):
    """The service does not know it: 404, or the 500 that it answers for an NPC it does not know."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome)
        self.outcome = outcome


class NoAnswerError(Exception):
    """The service does not answer as it should."""

    def __init__(self, outcome: Outcome, *, retry_after: float = 0.0) -> None:
        super().__init__(outcome)
        self.outcome = outcome
        self.retry_after = retry_after


class AiServiceClient:
    """Made by `open_client`."""

    def __init__(self, http: httpx.AsyncClient, url: str) -> None:
        self._http = http
        self._url = url.rstrip("/")

    async def ask(self, question: Question) -> object:
        """Give the answer's JSON (of its health: nothing), or raise AbsentError or NoAnswerError."""
        kind, path = _path(question)
        with tracing.span(f"GET {kind}", tracing.SpanKind.CLIENT):
            try:
                body = await self._get(self._url + path)
                answer = None if isinstance(question, AskHealth) else _json(body)
            except (AbsentError, NoAnswerError) as error:
                REQUESTS.labels(kind, error.outcome).inc()
                raise
        REQUESTS.labels(kind, Outcome.ANSWERED).inc()
        return answer

    async def _get(self, url: str) -> bytes:
        try:
            async with asyncio.timeout(ANSWERED_WITHIN_S), self._http.stream("GET", url) as response:
                _check(response)
                return await _bounded(response)
        except (TimeoutError, httpx.TimeoutException) as error:
            raise NoAnswerError(Outcome.TOO_SLOW) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise NoAnswerError(Outcome.UNREACHABLE) from error


@asynccontextmanager
async def open_client(url: str, api_key: str) -> AsyncIterator[AiServiceClient]:
    """Keep one connection to the service; it may be away, now and later."""
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
    if api_key:
        headers[API_KEY] = api_key
    limits = httpx.Limits(max_connections=1)
    # Proxies and credentials that the environment names are for other programs; `timeout` is that of each step.
    async with httpx.AsyncClient(
        headers=headers, limits=limits, timeout=ANSWERED_WITHIN_S, follow_redirects=False, trust_env=False
    ) as http:
        yield AiServiceClient(http, url)


def _path(question: Question) -> tuple[str, str]:
    """The question's name among the metrics, and its path."""
    match question:
        case AskHealth():
            return "health", "/health"
        case AskEnvironment():
            return "environment", "/ai/world/environment/current"
        case AskNpc(npc_id):
            return "npc", f"/ai/npc/{quote(npc_id, safe='')}/state"
        case AskCatalogue(zone_id):
            return "catalogue", f"/api/world/zones/{quote(zone_id, safe='')}/npcs"


def _check(response: httpx.Response) -> None:
    match response.status_code:
        case HTTPStatus.OK:
            return
        case HTTPStatus.NOT_FOUND:
            raise AbsentError(Outcome.NO_SUCH_PATH)
        case HTTPStatus.INTERNAL_SERVER_ERROR:
            raise AbsentError(Outcome.ABSENT)
        case HTTPStatus.TOO_MANY_REQUESTS:
            raise NoAnswerError(Outcome.LIMITED, retry_after=_seconds(response.headers.get("Retry-After", "")))
        case status if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            raise NoAnswerError(Outcome.REDIRECTED)
        case _:
            raise NoAnswerError(Outcome.REFUSED)


def _json(body: bytes) -> object:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise NoAnswerError(Outcome.UNREADABLE) from error


async def _bounded(response: httpx.Response) -> bytes:
    """As it comes: nobody asked for compression, in which a few KB can become GB."""
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MOST_BYTES:
            raise NoAnswerError(Outcome.TOO_LARGE)
    return bytes(body)


def _seconds(retry_after: str) -> float:
    """It may also be a date, of a clock that is not ours: then our own pauses must do."""
    return float(retry_after) if retry_after.isascii() and retry_after.isdigit() and len(retry_after) < 10 else 0.0  # noqa: PLR2004 -- ten digits are three centuries
