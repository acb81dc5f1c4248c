"""An AI service as the wire contract has it: real HTTP, its limit, its odd statuses, and secrets in every state."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

LIMIT = 100
MINUTE_S = 60.0

SECRETS: dict[str, Any] = {
    "information_items": [{"secret": "the king is a doppelganger"}],
    "personality": {"openness": 0.9, "moral_alignment": "traitor"},
    "agent_id": "agent-of-the-guard",
    "memories": ["what the oracle whispered"],
}
SECRET_TEXTS = (
    *("information_items", "doppelganger", "personality", "openness", "moral_alignment", "traitor"),
    *("agent_id", "agent-of", "memories", "oracle", "director", "bring on the plague"),
)
"""Whatever a player must never read, names and values."""

Answer = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class FakeAiService:
    """`npcs` is its world; `trouble`, where there is one, answers in its stead."""

    def __init__(self, npcs: dict[str, dict[str, Any]]) -> None:
        self.npcs = npcs
        self.url = ""
        self.asked: list[str] = []
        """Paths, as they came."""
        self.refused = 0
        self.most_in_a_minute = 0
        self.trouble: Answer | None = None
        self.headers: list[dict[str, str]] = []
        self._recent: deque[float] = deque()

    def asked_for(self, prefix: str) -> list[str]:
        return [path for path in self.asked if path.startswith(prefix)]

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked.append(request.path)
        self.headers.append(dict(request.headers))
        if self._over_its_limit():
            self.refused += 1
            return web.json_response({"detail": "Rate limit exceeded"}, status=429, headers={"Retry-After": "60"})
        if self.trouble is not None:
            return await self.trouble(request)
        return self.truth(request)

    def truth(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer as it does when nothing is wrong."""
        if request.path == "/health":
            return web.json_response({"status": "healthy"})
        if request.path == "/ai/world/environment/current":
            return web.json_response(
                {
                    "weather": "rain",
                    "time_of_day": "night",
                    "season": "winter",
                    "resource_availability": {"wood": 0.5},
                    "timestamp": datetime.now(UTC).isoformat(),
                    "director": "bring on the plague",
                }
            )
        if request.path.startswith("/ai/npc/") and request.path.endswith("/state"):
            return self._state(request.path.removeprefix("/ai/npc/").removesuffix("/state"))
        return web.json_response({"detail": "Not Found"}, status=404)

    def _state(self, npc_id: str) -> web.Response:
        if npc_id not in self.npcs:
            return web.json_response({"detail": f"404: NPC {npc_id} not found"}, status=500)
        state = {"npc_id": npc_id, "class": "guard", "level": 10, "status": "idle", **self.npcs[npc_id], **SECRETS}
        now = datetime.now(UTC).isoformat()
        return web.json_response({"npc_id": npc_id, "state": state, "source": "dragonfly", "timestamp": now})

    def _over_its_limit(self) -> bool:
        now = time.monotonic()
        while self._recent and now - self._recent[0] >= MINUTE_S:
            self._recent.popleft()
        self._recent.append(now)
        self.most_in_a_minute = max(self.most_in_a_minute, len(self._recent))
        return len(self._recent) > LIMIT


@asynccontextmanager
async def fake_ai_service(npcs: dict[str, dict[str, Any]]) -> AsyncIterator[FakeAiService]:
    """Serve on a free port of loopback until the block ends."""
    service = FakeAiService(npcs)
    runner = web.ServerRunner(web.Server(service.answer), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        service.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield service
    finally:
        await runner.cleanup()


async def html(_request: web.BaseRequest) -> web.StreamResponse:
    """A proxy's page that calls itself JSON."""
    return web.Response(body=b"<html>Welcome to nginx!</html>", content_type="application/json")


async def limited(_request: web.BaseRequest) -> web.StreamResponse:
    """Others have used its limit up, and for how long it does not say in seconds."""
    headers = {"Retry-After": "Sat, 28 Nov 2026 00:00:00 GMT"}
    return web.json_response({"detail": "Rate limit exceeded"}, status=429, headers=headers)


async def compressed(_request: web.BaseRequest) -> web.StreamResponse:
    """Claims to be what it is not, in a compression that nobody asked for."""
    return web.Response(body=b"\x1f\x8bnot gzip", headers={"Content-Encoding": "gzip", "Content-Type": "image/png"})


async def ten_megabytes(_request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(body=b"[" + b"1," * 5_000_000 + b"1]", content_type="application/json")


async def never(_request: web.BaseRequest) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


async def broken(_request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(status=503)


async def elsewhere(_request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"})


async def garbage(request: web.BaseRequest) -> web.StreamResponse:
    """Valid JSON that means nothing."""
    return web.json_response([[request.path], None, {"state": "state"}])


async def hangs_up(request: web.BaseRequest) -> web.StreamResponse:
    """Read the question, and go without a word."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()
