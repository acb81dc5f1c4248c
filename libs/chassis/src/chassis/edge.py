"""The HTTP edge: one span a request where its trace is kept, the request counted by its route."""

import time
from collections.abc import Callable
from http import HTTPStatus

from opentelemetry.trace import Status, StatusCode
from opentelemetry.util.types import AttributeValue
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chassis import tracing
from chassis.metrics import HTTP_SECONDS
from chassis.sampling import Sampling

KindOf = Callable[[Scope], str]
"""Names the kind of a request for its sampling policy, before it is routed: from method and path."""


class HttpEdge:
    """ASGI middleware, outermost: decides sampling, takes `traceparent`, opens the request's span."""

    def __init__(self, app: ASGIApp, sampling: Sampling, kind_of: KindOf) -> None:
        self._app = app
        self._sampling = sampling
        self._kind_of = kind_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        kind = self._kind_of(scope)
        status = 500

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        began_at = time.perf_counter()
        name = kind if _route_of(kind) else scope["method"]
        with tracing.edge(self._sampling, kind, name, traceparent=_traceparent(scope)) as span:
            try:
                await self._app(scope, receive, sent)
            finally:
                took = time.perf_counter() - began_at
                HTTP_SECONDS.labels(kind, status).observe(took, tracing.exemplar(span))
                if span.is_recording() or status >= HTTPStatus.BAD_REQUEST:
                    span.set_attributes(_about(scope, kind, status))
                if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                    span.set_status(Status(StatusCode.ERROR))


def _about(scope: Scope, kind: str, status: int) -> dict[str, AttributeValue]:
    """OpenTelemetry's attributes of an HTTP server's span; without the query, where tokens may stand."""
    about: dict[str, AttributeValue] = {
        "http.request.method": scope["method"],
        "http.response.status_code": status,
        "network.protocol.version": scope["http_version"],
        "url.path": scope["path"],
        "url.scheme": scope["scheme"],
    }
    if route := _route_of(kind):
        about["http.route"] = route
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        about[tracing.ERROR_TYPE] = str(status)
    return about


def _route_of(kind: str) -> str:
    """The route in a kind such as "GET /hosts/{host_id}"; empty for one that stands for several."""
    _, _, route = kind.partition(" ")
    return route if route.startswith("/") else ""


def _traceparent(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"traceparent":
            text: str = value.decode("latin-1")
            return text
    return None
