"""Clients of HTTP and WebSocket whose deadlines are those of a test, instead of their libraries' own."""

import asyncio
import ssl
import time
import uuid
from collections.abc import Mapping
from functools import partial

import httpx
from websockets.asyncio import client

from testkit.patience import patient

_AUTHORITIES = ssl.create_default_context()
"""One set for all: to read them takes each client 30 ms otherwise."""

http_client = partial(httpx.AsyncClient, timeout=patient(10), verify=_AUTHORITIES)

connect = partial(client.connect, open_timeout=patient(10), ping_timeout=patient(20), close_timeout=patient(10))

AWAY = frozenset({503, 504})
"""Answers that ask to try again, as a machine that stood still for seconds gives them."""


class _Persistent(httpx.AsyncHTTPTransport):
    """Asks again when it is told to, as the documents have it: after `Retry-After`, a POST under one key."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            request.headers.setdefault("idempotency-key", uuid.uuid4().hex)
        until = time.monotonic() + patient(10)
        while True:
            response = await super().handle_async_request(request)
            after = response.headers.get("retry-after")
            if response.status_code not in AWAY or after is None or time.monotonic() > until:
                return response
            await response.aread()
            await response.aclose()
            await asyncio.sleep(float(after))


def persistent_client(base_url: str, headers: Mapping[str, str] | None = None) -> httpx.AsyncClient:
    """A client of a suite that is well, for tests in which an answer that comes late is no matter."""
    return http_client(base_url=base_url, headers=headers, transport=_Persistent(verify=_AUTHORITIES))
