"""An HTTP server inside the process, which owns its signals and its end."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Literal

import structlog
import uvicorn
from starlette.types import ASGIApp

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
    websockets: Literal["none", "websockets-sansio"] = "none",
    **uvicorn_options: Any,
) -> AsyncIterator[int]:
    """Serve `app` and yield the port, which is a free one if `port` is 0; finish open requests at the end."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        ws=websockets,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=STOP_WITHIN_S,
        **uvicorn_options,
    )
    server = _Server(config)
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(_serve(server, host, port), name="http")
        while not server.started and not serving.done():  # noqa: ASYNC110 -- uvicorn has no other way to say that it listens
            await asyncio.sleep(0.001)
        actual = _port_of(server) if server.started else port
        log.info("http.listening", host=host, port=actual)
        try:
            yield actual
        finally:
            server.should_exit = True


class PortTakenError(Exception):
    """The address to serve on is in use or not ours."""


async def _serve(server: uvicorn.Server, host: str, port: int) -> None:
    try:
        await server.serve()
    except SystemExit as error:  # uvicorn's way to say that it could not bind; the reason is in its log
        raise PortTakenError(f"cannot listen on {host}:{port}") from error


def _port_of(server: uvicorn.Server) -> int:
    port: int = server.servers[0].sockets[0].getsockname()[1]
    return port
