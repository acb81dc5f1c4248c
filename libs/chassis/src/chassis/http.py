"""An HTTP server inside the process, which owns its signals and its end."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Literal, cast

import structlog
import uvicorn
from starlette.types import ASGIApp

from chassis.certificate import Certificate
from chassis.descriptors import watching
from chassis.openings import Openings, TakesSocket
from chassis.proxied import Network

log = structlog.stdlib.get_logger()

STOP_WITHIN_S = 5
"""How long open requests may take once the server stops; WebSockets are ended by whoever serves them, before."""


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: chassis.process has its own."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serve_http(
    app: ASGIApp,
    host: str,
    port: int,
    *,
    tls: Certificate | None = None,
    proxies: Sequence[Network] = (),
    websockets: Literal["none", "websockets-sansio"] | type[asyncio.Protocol] = "none",
    takes_socket: TakesSocket = lambda _path: True,
    **uvicorn_options: Any,
) -> AsyncIterator[int]:
    """Serve `app` and yield the port, which is a free one if `port` is 0; finish open requests at the end.

    With `tls` the same port serves TLS and clear text. `proxies` may say first, by the PROXY protocol, whose connection
    it is that they pass on (`chassis.proxied`). `websockets` may be a protocol class of the caller's own; they are
    opened at the paths that `takes_socket` says yes to.
    """
    listening = _bound(host, port)
    config = uvicorn.Config(
        app,
        http=cast(
            "type[asyncio.Protocol]", Openings(tls, proxies, takes_socket)
        ),  # all that uvicorn does with the class is to call it
        ws=websockets,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=STOP_WITHIN_S,
        **uvicorn_options,
    )
    server = _Server(config)
    actual: int = listening.getsockname()[1]
    async with asyncio.TaskGroup() as group:
        group.create_task(server.serve([listening]), name="http")
        watch = group.create_task(watching(), name="descriptors")
        log.info("http.listening", host=host, port=actual)
        try:
            yield actual
        finally:
            watch.cancel()
            server.should_exit = True


class PortTakenError(Exception):
    """The address to serve on is in use, or not this machine's."""


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise PortTakenError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    # Inherited by each connection. asyncio's own loop leaves it to us where it hasn't made the socket, and an answer of
    # two writes takes 40 ms longer without it.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening
