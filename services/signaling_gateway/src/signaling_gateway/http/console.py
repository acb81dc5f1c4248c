"""What the console page asks beside the REST calls: the suite as it goes on, and how a host stands."""

import asyncio
import time
from collections.abc import Mapping

import orjson
from chassis.bus import Bus
from chassis.refusals import ServiceError
from contracts.hosts import FIND_HOSTS, Candidate, FindHosts
from contracts.identifiers import Identifier
from contracts.npcs import NPC_FEED
from contracts.refusals import Code
from pydantic import ValidationError
from starlette.types import Receive, Scope, Send

from signaling_gateway.console.lists import Listing, question_of
from signaling_gateway.console.source import Console, ConsoleLook, Viewer
from signaling_gateway.http.framework.asking import ask
from signaling_gateway.http.framework.exchange import Answer, Request
from signaling_gateway.http.framework.gate import GATE, headers_of
from signaling_gateway.http.framework.openapi import OWNERS
from signaling_gateway.http.framework.reading import Reading, malformed
from signaling_gateway.http.framework.refusing import refused
from signaling_gateway.http.framework.resource import Resource
from signaling_gateway.http.framework.routing import API, Route
from signaling_gateway.http.framework.serving import send_answer

EVENTS = b"text/event-stream"

HEADERS = ((b"content-type", EVENTS), (b"cache-control", b"no-store"), (b"x-accel-buffering", b"no"))

ADMIT_EVERY_S = 5.0
"""A key that is revoked sees no more after this long."""

GOODBYE_S = 1.0
"""What ends a stream is a few bytes; who does not take them is cut off."""

ABOUT = """
With `Accept: text/event-stream` it goes on: events `about`, `suite` (each second), `list` and `npcs` (when they change)
and `facts` (as they happen), each with the whole of what it is about. Reconnect when it ends.
"""


class Watch(Listing):
    """What to show beside the suite: a part of a list and, where it goes on, the NPCs of a zone."""

    npcs: Identifier | None = None
    """The zone."""


def console_routes(bus: Bus, console: Console) -> list[Route]:
    """The console's own, and a host's standing."""
    return [_watching(console), _standing(bus)]


class _Watching(Route):
    """Answers once, or goes on for as long as whoever asks stays and may see it."""

    reading: Reading[Watch]
    console: Console

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if EVENTS in dict(scope["headers"]).get(b"accept", b""):
            await self._go_on(scope, receive, send)
        else:
            await super()._serve(scope, receive, send)

    async def _go_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            admission = await scope[GATE].admit(scope, self.kind, self.permission, {})
            asked = Request(self.path, {}, scope["query_string"], dict(scope["headers"]), b"", admission)
            watch, listing = _read(self.reading, asked)
            async with self.console.watched(listing, watch.npcs) as viewer:
                await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
                await _first_of(self._write(viewer, scope, send), _gone(receive), viewer.over.wait())
        except ServiceError as error:
            await send_answer(send, refused(error.refusal, headers=headers_of(error)))
            return
        try:
            async with asyncio.timeout(GOODBYE_S):
                await send({"type": "http.response.body", "body": b""})
        except TimeoutError:
            return

    async def _write(self, viewer: Viewer, scope: Scope, send: Send) -> None:
        admitted_at = time.monotonic()
        async for parcel in viewer.parcels():
            await send({"type": "http.response.body", "body": parcel, "more_body": True})
            if time.monotonic() - admitted_at > ADMIT_EVERY_S:
                try:
                    await scope[GATE].admit(scope, self.kind, self.permission, {})
                except ServiceError:  # when it comes anew it is told why
                    return
                admitted_at = time.monotonic()


def _watching(console: Console) -> Route:
    reading = Reading("GET", "/console", Watch)

    async def look(request: Request) -> Answer:
        _, listing = _read(reading, request)
        return Answer(await console.one_look(listing))

    goes_on: Mapping[int | str, dict[str, object]] = {
        200: {"content": {EVENTS.decode(): {"schema": {"type": "string"}}}}
    }
    route = _Watching(
        "GET",
        API + reading.path,
        look,
        reading=reading,
        answer=ConsoleLook,
        codes=OWNERS,
        summary="Watch the suite, as the console page does",
        description=ABOUT,
        tag="monitoring",
        beside=goes_on,
    )
    route.reading, route.console = reading, console
    return route


def _read(reading: Reading[Watch], request: Request) -> tuple[Watch, Listing]:
    """What is wanted, and of it the list: the same for all that want the same. InvalidError where it is none."""
    watch = reading.read(request)
    listing = Listing.model_validate(watch.model_dump(exclude={"npcs"}))
    try:
        question_of(listing)
        if watch.npcs is not None:
            NPC_FEED.of(zone_id=watch.npcs)
    except ValidationError as error:
        raise malformed(
            *({"loc": ["query", *each["loc"]], "msg": each["msg"], "type": each["type"]} for each in error.errors())
        ) from None
    except ValueError as error:
        raise malformed({"loc": ["query", "npcs"], "msg": str(error), "type": "value_error"}) from None
    return watch, listing


def _standing(bus: Bus) -> Route:
    hosts = Resource(bus, "hosts")
    reading = Reading(
        "GET",
        "/hosts/{host_id}/standing",
        FindHosts,
        fixed={"rejected": True, "limit": 1},
        hidden=set(FindHosts.model_fields) - {"host_id"},
    )

    async def answer(request: Request) -> Answer:
        found = orjson.loads(await ask(bus, FIND_HOSTS, reading.read(request), request))
        return Answer(orjson.dumps(found["candidates"][0]))

    return hosts.answered(
        reading,
        answer,
        FIND_HOSTS,
        answer=Candidate,
        codes=(Code.HOST_NOT_FOUND,),
        summary="Tell what a host's score is made of, and what of it is taken",
    )


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _first_of(*work: object) -> None:
    """Do all of it until one part is done."""
    tasks = [asyncio.ensure_future(part) for part in work]  # type: ignore[call-overload]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
