"""Routes that FastAPI documents, when somebody wants the document, and that are found and answered without it.

FastAPI tries one regular expression after another and parses every body itself: a heartbeat spends four times as long
in it as on the rest of its way through the gateway. So paths are looked up word by word in a tree, and what a route
gets is bytes.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, NamedTuple

from contracts.refusals import Code
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from signaling_gateway.access.permissions import permission_of
from signaling_gateway.http.framework.exchange import Answering
from signaling_gateway.http.framework.openapi import answers, signed
from signaling_gateway.http.framework.permitting import in_words, who_may
from signaling_gateway.http.framework.reading import WITHOUT_BODY, Reading
from signaling_gateway.http.framework.serving import Large, serve
from signaling_gateway.limits.rates import UNCOUNTED

API = "/api/v1"

_WHO = (Code.UNAUTHENTICATED, Code.FORBIDDEN, Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED)
"""The refusals of every route: of who may not, and of what can't be told in time."""


def refusals_at_the_door(kind: str) -> tuple[Code, ...]:
    """The refusals of a route whatever it is about; where requests are counted, of who came too often too."""
    return _WHO if kind in UNCOUNTED else (*_WHO, Code.TOO_MANY_REQUESTS)


BYTES = "application/octet-stream"
BINARY = {BYTES: {"schema": {"type": "string", "format": "binary"}}}
_OF_BYTES: dict[str, Any] = {"requestBody": {"required": True, "content": BINARY}}


class Route:
    """One path and method."""

    def __init__(
        self,
        method: str,
        path: str,
        answering: Answering,
        *,
        reading: Reading[Any] | None = None,
        keyed: bool = False,
        answer: Any = None,
        status: HTTPStatus = HTTPStatus.OK,
        codes: Iterable[Code] = (),
        summary: str,
        description: str = "",
        tag: str,
        examples: Mapping[str, Any] | None = None,
        beside: Mapping[int | str, dict[str, Any]] | None = None,
        large: Large | None = None,
        **about: Any,
    ) -> None:
        """`reading`: where its fields stand, without which it has none; `keyed`: it takes an `Idempotency-Key`.

        `codes`: the refusals to expect; `examples`: bodies to send, by what they show; `beside`: other answers;
        `large`: its body is bytes, as many as that says; `about`: what else FastAPI may be told of a route.
        """
        self.method = method
        self.path = path
        self.kind = f"{method} {path}"
        """Names the request in spans, metrics and sampling; no identifier is in it."""
        self.permission = permission_of(self.kind)
        """Whose it is to ask; without a row in that table there is no route."""
        self.answering = answering
        self.app: ASGIApp = self._serve
        self._reading = reading
        self._keyed = keyed
        self._answer = answer
        self._status = status
        self._codes = tuple(codes)
        self._examples = examples
        self._beside = beside or {}
        self._large = large
        self._about = {"summary": summary, "tags": [tag], **about}
        self._description = description

    def documented(self) -> APIRoute:
        """The route as FastAPI draws it; making one takes 5 ms, for which a gateway that starts has better use."""
        return APIRoute(
            self.path,
            signed(self._reading, keyed=self._keyed),
            methods=[self.method],
            response_model=self._answer,
            status_code=self._status,
            responses=answers(
                self._answer,
                self._status,
                (*refusals_at_the_door(self.kind), *self._codes),
                takes_body=self.method not in WITHOUT_BODY,
                beside=self._beside,
            ),
            description=f"{self._description}\n\n{in_words(self.permission)}".strip(),
            response_description=self._status.phrase,
            operation_id=_operation(self.method, self.path),
            openapi_extra=who_may(self.permission)
            | (_with_examples(self._examples) if self._examples else {})
            | (_OF_BYTES if self._large else {}),
            **self._about,
        )

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        await serve(self.answering, self.kind, self.permission, scope, receive, send, self._large)


def _operation(method: str, path: str) -> str:
    words = re.findall(r"\w+", path.removeprefix(API))
    return "_".join([method.lower(), *words])


def _with_examples(examples: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: {"value": body} for name, body in examples.items()}
    return {"requestBody": {"content": {"application/json": {"examples": shown}}}}


@dataclass(slots=True)
class _Step:
    words: dict[str, "_Step"] = field(default_factory=dict)
    identifier: "_Step | None" = None
    routes: dict[str, Route] = field(default_factory=dict)
    names: tuple[str, ...] = ()


class Found(NamedTuple):
    """A route and the identifiers in its path."""

    route: Route
    params: dict[str, str]


class OtherMethods(NamedTuple):
    """A path where something else may be done than was asked for."""

    methods: frozenset[str]


class Routes:
    """All routes, as a tree of the words in their paths; a word wins over an identifier."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._root = _Step()
        for route in routes:
            self._add(route)

    def _add(self, route: Route) -> None:
        step = self._root
        names = []
        for word in route.path.strip("/").split("/"):
            if word.startswith("{"):
                names.append(word[1:-1])
                step.identifier = step.identifier or _Step()
                step = step.identifier
            else:
                step = step.words.setdefault(word, _Step())
        step.routes[route.method] = route
        step.names = tuple(names)

    def find(self, method: str, words: list[str]) -> Found | OtherMethods | None:
        """Look up the words of a path, already decoded; what is not among the routes may be a document or a file."""
        identifiers: list[str] = []
        step = self._walk(self._root, words, 0, identifiers, method)
        if step is None:
            return self._others(words)
        return Found(step.routes[method], dict(zip(step.names, identifiers, strict=True)))

    def _others(self, words: list[str]) -> OtherMethods | None:
        methods = {method for step in self._ends(self._root, words) for method in step.routes}
        if "GET" in methods:
            methods.add("HEAD")
        return OtherMethods(frozenset(methods)) if methods else None

    def _walk(self, step: _Step, words: list[str], at: int, identifiers: list[str], method: str) -> _Step | None:
        if at == len(words):
            return step if method in step.routes else None
        word = words[at]
        if (along := step.words.get(word)) is not None and (
            (end := self._walk(along, words, at + 1, identifiers, method)) is not None
        ):
            return end
        if step.identifier is None or not word:
            return None
        identifiers.append(word)
        end = self._walk(step.identifier, words, at + 1, identifiers, method)
        if end is None:
            identifiers.pop()
        return end

    def _ends(self, step: _Step, words: list[str]) -> Iterator[_Step]:
        if not words:
            yield step
            return
        word, *further = words
        if (along := step.words.get(word)) is not None:
            yield from self._ends(along, further)
        if step.identifier is not None and word:
            yield from self._ends(step.identifier, further)
