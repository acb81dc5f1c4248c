"""Whether a process lives, whether it is ready, and what it counts: three paths on its HTTP port.

Live means the event loop turns. Ready means started, not draining, and everything it needs answers.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from http import HTTPStatus
from inspect import isawaitable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from chassis.descriptors import enough
from chassis.http import serve_http
from chassis.loops import Loop
from chassis.metrics import exposition

Check = Callable[[], bool | Awaitable[bool]]
Note = Callable[[], str | None]

CHECK_WITHIN_S = 1.0
"""A dependency that takes longer than this to say it is there isn't there."""


class Health:
    """What readiness depends on; `watch` adds to it, `serving` says from when to when we are willing."""

    def __init__(self) -> None:
        self._checks: dict[str, Check] = {"descriptors": enough}
        self._notes: list[Note] = []
        self._serving = False

    def watch(self, name: str, check: Check) -> None:
        """Make readiness depend on `check`; `name` is what a 503 calls it."""
        self._checks[name] = check

    def watch_loop(self, loop: Loop) -> None:
        """Make readiness depend on a loop's last good round not being long ago."""
        self.watch(f"loop:{loop.name}", lambda: loop.on_time)

    def note(self, note: Note) -> None:
        """Have readiness tell what is less than usual, and no reason to go elsewhere; None while nothing is."""
        self._notes.append(note)

    def notes(self) -> list[str]:
        return [said for note in self._notes if (said := note()) is not None]

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Be ready, as far as the checks go, for the length of the block; entered last, so left first in a drain."""
        self._serving = True
        try:
            yield
        finally:
            self._serving = False

    async def away(self) -> list[str]:
        """The names of what is not there; empty means ready."""
        if not self._serving:
            return ["serving"]
        names = list(self._checks)
        answers = await asyncio.gather(*(_answers(self._checks[name]) for name in names))
        return [name for name, there in zip(names, answers, strict=True) if not there]

    def routes(self) -> list[Route]:
        """The three paths, for a process that has an HTTP application of its own."""
        return [
            Route("/health/live", _live),
            Route("/health/ready", self._ready),
            Route("/metrics", _metrics),
        ]

    async def _ready(self, _request: Request) -> Response:
        away = await self.away()
        if away:
            unready = {"status": "unready", "away": away, "notes": self.notes()}
            return JSONResponse(unready, HTTPStatus.SERVICE_UNAVAILABLE)
        return JSONResponse({"status": "ready", "away": [], "notes": self.notes()})


async def _answers(check: Check) -> bool:
    try:
        async with asyncio.timeout(CHECK_WITHIN_S):
            there = check()
            return await there if isawaitable(there) else there
    except Exception:  # noqa: BLE001 -- whatever is wrong with it, it isn't there
        return False


async def _live(_request: Request) -> Response:
    return PlainTextResponse("live")


async def _metrics(request: Request) -> Response:
    counted, content_type = exposition(request.headers.get("accept", ""))
    return Response(counted, headers={"content-type": content_type})


@asynccontextmanager
async def serve_health(host: str, port: int) -> AsyncIterator[Health]:
    """Serve the three paths until the block ends; open it first, so that it tells of all the rest."""
    health = Health()
    async with serve_http(Starlette(routes=health.routes()), host, port):
        yield health
