"""The routes of one resource, most of which are one request to its owner."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from chassis.bus import Bus
from chassis.requests import Answer as Reply
from chassis.requests import Question
from contracts.refusals import Code
from contracts.subjects import Rpc

from signaling_gateway.http.framework.asking import ask
from signaling_gateway.http.framework.exchange import Answer, Answering, Request
from signaling_gateway.http.framework.listing import Listed, PageOf, listing
from signaling_gateway.http.framework.openapi import LINK, OWNERS
from signaling_gateway.http.framework.reading import Reading
from signaling_gateway.http.framework.routing import API, Route


class Resource:
    """Makes the routes of one resource that ask its owner."""

    def __init__(self, bus: Bus, tag: str) -> None:
        self._bus = bus
        self._tag = tag

    def route(
        self,
        method: str,
        path: str,
        rpc: Rpc[Question, Reply],
        *,
        status: HTTPStatus = HTTPStatus.OK,
        summary: str,
        query: Iterable[str] = (),
        aliases: Mapping[str, str] | None = None,
        fixed: Mapping[str, Any] | None = None,
        hidden: Iterable[str] = (),
        **about: Any,
    ) -> Route:
        """One request, one reply, and its bytes are the body of the answer."""
        reading = Reading(method, path, rpc.question, query=query, aliases=aliases, fixed=fixed, hidden=hidden)
        answering = passing_on(self._bus, rpc, reading, status)
        keyed = status is HTTPStatus.CREATED
        return self.answered(reading, answering, rpc, status=status, summary=summary, keyed=keyed, **about)

    def pages(
        self,
        path: str,
        rpc: Rpc[Listed, PageOf],
        *,
        answer: Any,
        aliases: Mapping[str, str] | None = None,
        fixed: Mapping[str, Any] | None = None,
        hidden: Iterable[str] = (),
        summary: str,
    ) -> Route:
        """A list, as one JSON array of what the owner pages."""
        reading = Reading("GET", path, rpc.question, aliases=aliases, fixed=fixed, hidden=hidden)
        answering = listing(self._bus, rpc, reading)
        return self.answered(reading, answering, rpc, answer=answer, beside={200: {"headers": LINK}}, summary=summary)

    def answered(
        self,
        reading: Reading[Any],
        answering: Answering,
        rpc: Rpc[Any, Any],
        *,
        answer: Any = None,
        codes: Iterable[Code] = (),
        status: HTTPStatus = HTTPStatus.OK,
        keyed: bool = False,
        **about: Any,
    ) -> Route:
        """A route that asks `rpc` in a way of its own; `keyed`: it creates, so a key makes it safe to repeat."""
        return Route(
            reading.method,
            API + reading.path,
            answering,
            reading=reading,
            keyed=keyed,
            answer=None if status is HTTPStatus.NO_CONTENT else answer or rpc.answer,
            status=status,
            codes=(*rpc.refusals, *codes, *OWNERS),
            tag=self._tag,
            **about,
        )


def passing_on(bus: Bus, rpc: Rpc[Question, Reply], reading: Reading[Question], status: HTTPStatus) -> Answering:
    """Ask `rpc` and give its reply as it came."""

    async def answer(request: Request) -> Answer:
        reply = await ask(bus, rpc, reading.read(request), request)
        return Answer(b"" if status is HTTPStatus.NO_CONTENT else reply, status)

    return answer
