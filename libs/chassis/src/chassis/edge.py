"""The HTTP edge: one span a request where its trace is kept, the request counted by its route."""

import time
from collections.abc import Callable
from http import HTTPStatus

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
        with tracing.edge(self._sampling, kind, kind, traceparent=_traceparent(scope)) as span:
            try:
                await self._app(scope, receive, sent)
            finally:
                HTTP_SECONDS.labels(kind, status).observe(time.perf_counter() - began_at)
                if status >= HTTPStatus.BAD_REQUEST:
                    span.set_attribute(tracing.REFUSAL, status)
                if span.is_recording():
                    span.set_attribute("http.request.method", scope["method"])
                    span.set_attribute("url.path", scope["path"])
                    span.set_attribute("http.response.status_code", status)


def _traceparent(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"traceparent":
            text: str = value.decode("latin-1")
            return text
    return None
