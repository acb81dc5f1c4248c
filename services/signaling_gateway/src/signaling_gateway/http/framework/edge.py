"""The outermost layers of everything that arrives: one spelling of its path, its trace, its count, its route."""

from collections.abc import Collection, Sequence
from http import HTTPStatus

from chassis.edge import HttpEdge
from chassis.proxied import Network
from chassis.refusals import InvalidError
from chassis.sampling import Sampling
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from signaling_gateway.access.errors import ForbiddenError
from signaling_gateway.http.framework.gate import GATE, Gate
from signaling_gateway.http.framework.paths import canonical, words
from signaling_gateway.http.framework.refusing import OTHER_METHOD, refused
from signaling_gateway.http.framework.routing import API, Found, OtherMethods, Routes
from signaling_gateway.http.framework.serving import send_answer, send_instead
from signaling_gateway.http.framework.strangers import Strangers
from signaling_gateway.limits.clients import Clients
from signaling_gateway.limits.errors import TooManyRequestsError

SIGNALING = f"{API}/signaling/ws"

PAGES = ("/console/", "/demo/", "/sdk/", "/docs/files/", "/docs/messages/", "/favicon.ico")
"""Files of pages: a browser fetches dozens of them at once, and they cost us nothing but the way."""

_FOUND = "signaling_gateway.found"


def opens_sockets(path: str) -> bool:
    """Whether a WebSocket may be opened at this path; elsewhere the offer to is passed over."""
    return canonical(path) == SIGNALING


def edge(
    fastapi: ASGIApp,
    routes: Routes,
    gate: Gate,
    sockets: ASGIApp,
    sampling: Sampling,
    origins: Sequence[str],
    names: Collection[str] | None,
    proxies: Sequence[Network],
) -> ASGIApp:
    """Put the layers round the application: client, CORS, path, trace and count, strangers, who may, route."""
    strangers = Strangers(origins, names)
    spelled = _Spelled(HttpEdge(_Routed(fastapi, gate, strangers), sampling, _kind), routes, gate, strangers, sockets)
    cors = CORSMiddleware(
        spelled,
        allow_origins=origins,
        allow_methods=["*"],
        allow_headers=["*"],
        expose_headers=["Link", "Retry-After", "ETag", "P2p-Epoch", "P2p-Sequence"],
        max_age=3600,
    )
    origins_known = _Origins(spelled, cors)
    return Clients(origins_known, proxies) if proxies else origins_known


class _Origins:
    """Sends what web pages ask through CORS, and spares programs, which name no origin, its 8 us."""

    def __init__(self, plain: ASGIApp, cors: ASGIApp) -> None:
        self._plain = plain
        self._cors = cors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        from_page = any(name == b"origin" for name, _ in scope["headers"])
        await (self._cors if from_page else self._plain)(scope, receive, send)


class _Spelled:
    """Gives each path its canonical spelling, looks its route up, and sends WebSockets where they belong."""

    def __init__(self, http: ASGIApp, routes: Routes, gate: Gate, strangers: Strangers, sockets: ASGIApp) -> None:
        self._http = http
        self._routes = routes
        self._gate = gate
        self._strangers = strangers
        self._sockets = sockets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._open(scope, receive, send)
            return
        path = canonical(scope["raw_path"].decode("ascii"))
        scope["raw_path"] = path.encode("ascii")
        scope[_FOUND] = self._find(scope, path)
        await self._http(scope, receive, send)

    def _find(self, scope: Scope, path: str) -> Found | OtherMethods | InvalidError | None:
        try:
            found = words(path)
        except InvalidError as error:
            return error
        scope["path"] = "/" + "/".join(found)
        return self._routes.find("GET" if scope["method"] == "HEAD" else scope["method"], found)

    async def _open(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            self._strangers.check(scope["headers"], None)
        except ForbiddenError:
            await send({"type": "websocket.close"})  # before the handshake: the client sees 403
            return
        try:
            await self._gate.open_socket(scope)
        except TooManyRequestsError as error:
            await send_instead(send, refused(error.refusal))
            return
        scope["path"] = SIGNALING
        await self._sockets(scope, receive, send)


def _kind(scope: Scope) -> str:
    found = scope[_FOUND]
    return found.route.kind if isinstance(found, Found) else f"{scope['method']} other"


class _Routed:
    """Has the found route answer; what is at no route's path is FastAPI's: documents, files and 404."""

    def __init__(self, fastapi: ASGIApp, gate: Gate, strangers: Strangers) -> None:
        self._fastapi = fastapi
        self._gate = gate
        self._strangers = strangers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            self._strangers.check(scope["headers"], scope["method"])
        except ForbiddenError as error:
            await send_answer(send, refused(error.refusal), with_body=scope["method"] != "HEAD")
            return
        scope[GATE] = self._gate  # for the route itself to ask, whoever has found it
        match scope[_FOUND]:
            case Found(route, params):
                scope["path_params"] = params
                await route.app(scope, receive, send)
            case found:
                try:
                    await self._elsewhere(found, scope, receive, send)
                except (InvalidError, TooManyRequestsError) as error:
                    await send_answer(send, refused(error.refusal))

    async def _elsewhere(
        self, found: OtherMethods | InvalidError | None, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if not scope["path"].startswith(PAGES):
            await self._gate.count(scope)
        match found:
            case InvalidError():
                raise found
            case OtherMethods(methods):
                allow = ((b"allow", ", ".join(sorted(methods)).encode()),)
                answer = refused(OTHER_METHOD, status=HTTPStatus.METHOD_NOT_ALLOWED, headers=allow)
                await send_answer(send, answer, with_body=scope["method"] != "HEAD")
            case None:
                await self._fastapi(scope, receive, send)
