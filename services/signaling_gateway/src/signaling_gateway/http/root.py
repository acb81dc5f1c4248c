"""The root: a page for people, a few words for programs."""

from datetime import timedelta
from importlib.resources.abc import Traversable
from typing import Any, Literal

from chassis.bus import Bus
from chassis.refusals import ServiceError
from chassis.requests import call
from contracts.subjects import Message
from contracts.zones import LIST_ZONES, ListZones, ZoneStatus

from signaling_gateway.http.framework.exchange import Answer, Request
from signaling_gateway.http.framework.pages import PAGE_HEADERS
from signaling_gateway.http.framework.routing import Route
from signaling_gateway.http.monitoring import SERVICE
from signaling_gateway.monitoring.cached import Cached

LOOK_EVERY = timedelta(seconds=1)

ZONES_SHOWN = 1000


class Root(Message):
    """What this is."""

    service: str
    version: str
    status: Literal["running"]
    p2p_enabled: bool
    enabled_zones: tuple[str, ...] | None
    """Null while nobody can say."""


def root_route(bus: Bus, page: Traversable, version: str, *, p2p_enabled: bool) -> Route:
    """`GET /`, by what the client accepts."""
    html = page.read_bytes()

    async def describe() -> bytes:
        root = Root(
            service=SERVICE,
            version=version,
            status="running",
            p2p_enabled=p2p_enabled,
            enabled_zones=await _enabled_zones(bus) if p2p_enabled else (),
        )
        return root.model_dump_json().encode()

    described = Cached(describe, LOOK_EVERY)

    async def answer(request: Request) -> Answer:
        if b"text/html" in request.headers.get(b"accept", b""):
            return Answer(html, headers=PAGE_HEADERS, content_type=b"text/html; charset=utf-8")
        return Answer(await described.get())

    page_too: dict[int | str, Any] = {
        200: {"content": {"text/html": {"schema": {"type": "string"}}}, "description": "A page for people."}
    }
    return Route(
        "GET",
        "/",
        answer,
        answer=Root,
        summary="What this is",
        tag="monitoring",
        beside=page_too,
    )


async def _enabled_zones(bus: Bus) -> tuple[str, ...] | None:
    wanted = ListZones(status=ZoneStatus.ENABLED, p2p_enabled=True, limit=ZONES_SHOWN)
    try:
        page = await call(bus, LIST_ZONES, wanted)
    except ServiceError:
        return None
    return tuple(zone.zone_id for zone in page.items)
