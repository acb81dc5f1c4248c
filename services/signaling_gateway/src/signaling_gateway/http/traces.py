"""A trace out of the store of spans, for the console: the store itself knows no operators, only its own key."""

import asyncio
import re
from http import HTTPStatus
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import ProxyHandler, build_opener
from urllib.request import Request as HttpRequest

from chassis.refusals import ServiceError, UnavailableError
from contracts.refusals import Code
from contracts.subjects import Message
from pydantic import AwareDatetime, Field

from signaling_gateway.http.framework.exchange import Answer, Request
from signaling_gateway.http.framework.reading import Reading
from signaling_gateway.http.framework.routing import API, Route

ANSWERED_WITHIN_S = 3.0

MOST_BYTES = 16 * 1024 * 1024
"""A join has some forty spans of a kilobyte."""

_TRACE_ID = re.compile(r"[0-9a-f]{32}")


class TraceNotFoundError(ServiceError):
    """There is no such trace: it was not kept, or is over the store's hours."""

    code = Code.TRACE_NOT_FOUND


class AskTrace(Message):
    """Which trace."""

    trace_id: str = Field(examples=["4bf92f3577b34da6a3ce929d0e0e4736"])


class SpanTold(Message):
    """One step of a trace."""

    span_id: str
    parent_id: str | None
    name: str
    kind: str
    service: str
    instance: str
    start: AwareDatetime
    end: AwareDatetime
    duration_ms: float
    status: str
    reason: str
    attributes: dict[str, Any]


class TraceTold(Message):
    """A trace with all its spans, earliest first."""

    trace_id: str
    spans: tuple[SpanTold, ...]


def trace_route(store: str | None, key: str) -> Route:
    """`GET /traces/{trace_id}`, asked of the store at this URL, if there is one, with its key, if it has one."""
    reading = Reading("GET", "/traces/{trace_id}", AskTrace)
    opener = build_opener(ProxyHandler({}))
    shown = {"Authorization": f"Bearer {key}"} if key else {}

    def fetch(trace_id: str) -> bytes:
        asked = HttpRequest(f"{store}/api/traces/{quote(trace_id)}", headers=shown)  # noqa: S310  as settings say
        with opener.open(asked, timeout=ANSWERED_WITHIN_S) as answer:
            found: bytes = answer.read(MOST_BYTES)
        return found

    async def answer(request: Request) -> Answer:
        trace_id = reading.read(request).trace_id
        if store is None:
            raise TraceNotFoundError("No store of spans is set up here: TRACES_URL.")
        if not _TRACE_ID.fullmatch(trace_id):
            raise TraceNotFoundError("A trace is named by 32 hexadecimal digits.")
        try:
            found = TraceTold.model_validate_json(await asyncio.to_thread(fetch, trace_id))
        except HTTPError as error:
            if error.code == HTTPStatus.NOT_FOUND:
                raise TraceNotFoundError("The trace is not kept: it was not sampled, or is over.") from error
            raise UnavailableError("The store of spans does not answer as it should.") from error
        except (OSError, HTTPException, ValueError) as error:
            raise UnavailableError("The store of spans is away.") from error
        return Answer(found.model_dump_json().encode())

    return Route(
        reading.method,
        API + reading.path,
        answer,
        reading=reading,
        answer=TraceTold,
        codes=(Code.TRACE_NOT_FOUND, Code.INVALID, Code.UNAVAILABLE),
        summary="Tell a trace that `p2p up` has kept",
        tag="monitoring",
    )
