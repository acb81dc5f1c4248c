"""What FastAPI serves: the documents, the pages' files, and a proper answer to what is not there."""

import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache
from http import HTTPStatus
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson
from contracts.refusals import Code, Refusal
from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from signaling_gateway.http.framework.asyncapi import asyncapi, every_schema, schema_of
from signaling_gateway.http.framework.examples import components
from signaling_gateway.http.framework.exchange import Answer
from signaling_gateway.http.framework.permitting import SCHEMES
from signaling_gateway.http.framework.refusing import INTERNAL, OTHER_METHOD, refused
from signaling_gateway.http.framework.routing import Route
from signaling_gateway.http.framework.viewer import add_viewer

TITLE = "P2P Coordinator"

ABOUT = """
Players' own machines host the zones of an online game; this service brings players and hosts together.

* Every path also exists without `v1`, and with a trailing slash. Nothing redirects.
* What is refused is `{"detail", "code", "trace_id"}`: match on `code`.
* `Idempotency-Key` on a POST that creates: the same key gives the first answer again, for 24 hours.
* A path that names a session takes its `session_id` or its `id`.
* In `enforced` mode a request shows who sends it, as an operation's `security` says; in `open` mode nobody has to.
* Lists are arrays; the next page is in the `Link` header.
* WebSocket signaling is at `/api/v1/signaling/ws`; its frames and NATS's subjects: [messages](/docs/messages), and
  the same for programs: [asyncapi.json](/asyncapi.json).
* Every message as JSON Schema: [schemas.json](/schemas.json), or one as `/schemas/{message}.json`.
"""

TAGS = {
    "hosts": "Machines that offer to host.",
    "zones": "Zones, and what they ask of a host.",
    "sessions": "Sessions and the players in them.",
    "signaling": "Offers, answers and candidates without a WebSocket; what is told of signaling to anybody.",
    "monitoring": "How the suite is.",
    "auth": "Tokens, API keys, kicks.",
}

_NOT_FOUND = Refusal(code=Code.ROUTE_NOT_FOUND, detail="There is nothing at this path.")
_NO_SCHEMA = Refusal(code=Code.ROUTE_NOT_FOUND, detail="There is no such message: /schemas.json has them all.")


def application(routes: Sequence[Route], version: str, web: Path) -> FastAPI:
    """Serve the documents, of which OpenAPI's is of the routes, and the files."""
    app = FastAPI(
        title=TITLE,
        description=ABOUT,
        version=version,
        openapi_tags=[{"name": name, "description": about} for name, about in TAGS.items()],
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.exception_handler(HTTPException)(_refuse)
    app.exception_handler(Exception)(_fail)
    app.get("/docs", include_in_schema=False)(_documents)
    app.get("/openapi.json", include_in_schema=False)(_written(lambda: _openapi(app, routes)))
    app.get("/asyncapi.json", include_in_schema=False)(_written(lambda: asyncapi(TITLE, version)))
    app.get("/schemas.json", include_in_schema=False)(_written(every_schema))
    app.get("/schemas/{message}.json", include_in_schema=False)(_schema)
    add_viewer(app, _Files(directory=web / "messages", check_dir=False), web / "messages" / "index.html")
    app.mount("/docs/files", StaticFiles(directory=str(files("fastapi_offline") / "static")))
    app.get("/demo", include_in_schema=False)(_to_demo)
    # What browsers ask for beside JSON, which names none.
    app.get("/favicon.ico", include_in_schema=False)(_one_file(web / "console" / "icon.svg", "image/svg+xml"))
    app.get("/llms.txt", include_in_schema=False)(_one_file(web / "llms.txt", "text/plain"))
    for name in ("console", "demo", "sdk"):
        app.mount(f"/{name}", _Files(directory=web / name, html=True, check_dir=False))
    return app


class _Files(StaticFiles):
    """Asked about each time: a page and its modules are of one release."""

    def file_response(self, *args: Any, **about: Any) -> Response:
        response = super().file_response(*args, **about)
        response.headers["cache-control"] = "no-cache"
        return response


async def _documents() -> HTMLResponse:
    # The bundle comes from our own address: the page works without the internet, and tells nobody that it was opened.
    return get_swagger_ui_html(
        openapi_url="/openapi.json",
        title=TITLE,
        swagger_js_url="/docs/files/swagger-ui-bundle.js",
        swagger_css_url="/docs/files/swagger-ui.css",
        swagger_favicon_url="/docs/files/favicon.png",
    )


def _openapi(app: FastAPI, routes: Sequence[Route]) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        tags=app.openapi_tags,
        routes=[route.documented() for route in routes],
    )
    shown = set(re.findall(r"#/components/examples/([\w.]+)", json.dumps(document)))
    document["components"] |= {"securitySchemes": SCHEMES, "examples": components(shown)}
    return document


def _written(write: Callable[[], Any]) -> Callable[[], Response]:
    @cache
    def written() -> bytes:
        return orjson.dumps(write())

    def document() -> Response:  # on a thread: writing one takes half a second, and signals shall not wait for it
        return Response(written(), media_type="application/json")

    return document


def _schema(message: str) -> Response:
    schema = schema_of(message)
    if schema is None:
        return _response(refused(_NO_SCHEMA))
    return Response(orjson.dumps(schema), media_type="application/schema+json")


def _one_file(file: Path, media_type: str) -> Callable[[], Awaitable[Response]]:
    async def answer() -> FileResponse:
        return FileResponse(file, media_type=media_type)

    return answer


async def _to_demo() -> RedirectResponse:
    return RedirectResponse("/demo/", HTTPStatus.PERMANENT_REDIRECT)  # a page's relative links need the slash


async def _refuse(_request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException) and error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return _response(refused(OTHER_METHOD, status=error.status_code), error.headers)
    return _response(refused(_NOT_FOUND))


async def _fail(_request: Request, _error: Exception) -> Response:
    return _response(refused(INTERNAL))


def _response(answer: Answer, headers: Mapping[str, str] | None = None) -> Response:
    return Response(answer.body, answer.status, headers, media_type=answer.content_type.decode())
