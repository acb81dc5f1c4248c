"""What FastAPI serves: the documents, the pages' files, and a proper answer to what is not there."""

from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from http import HTTPStatus
from importlib.resources import files
from pathlib import Path

import orjson
from contracts.refusals import Code, Refusal
from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from signaling_gateway.http.exchange import Answer
from signaling_gateway.http.messages import asyncapi
from signaling_gateway.http.refusing import INTERNAL, refused
from signaling_gateway.http.routing import Route

TITLE = "P2P Coordinator"

ABOUT = """
Players' own machines host the zones of an online game; this service brings players and hosts together.

* Every path also exists without `v1`, and with a trailing slash. Nothing redirects.
* What is refused is `{"detail", "code", "trace_id"}`: match on `code`.
* `Idempotency-Key` on a POST that creates: the same key gives the first answer again, for 24 hours.
* A path that names a session takes its `session_id` or its `id`.
* Lists are arrays; the next page is in the `Link` header.
* WebSocket signaling is at `/api/v1/signaling/ws`; its frames and NATS's subjects: [asyncapi.json](/asyncapi.json).
"""

_NOT_FOUND = Refusal(code=Code.ROUTE_NOT_FOUND, detail="There is nothing at this path.")
_OTHER_METHOD = Refusal(code=Code.ROUTE_NOT_FOUND, detail="This path does not take this method.")


def application(routes: Sequence[Route], version: str, web: Path) -> FastAPI:
    """Put the documents and the files behind the routes."""
    app = FastAPI(
        title=TITLE, description=ABOUT, version=version, docs_url=None, redoc_url=None, redirect_slashes=False
    )
    app.router.routes.extend(routes)
    app.exception_handler(HTTPException)(_refuse)
    app.exception_handler(Exception)(_fail)
    app.get("/docs", include_in_schema=False)(_documents)
    app.get("/asyncapi.json", include_in_schema=False)(_messages(version))
    app.mount("/docs/files", StaticFiles(directory=str(files("fastapi_offline") / "static")))
    app.get("/demo", include_in_schema=False)(_to_demo)
    for name in ("demo", "sdk"):
        app.mount(f"/{name}", StaticFiles(directory=web / name, html=True, check_dir=False))
    return app


async def _documents() -> HTMLResponse:
    # The bundle comes from our own address: the page works without the internet, and tells nobody that it was opened.
    return get_swagger_ui_html(
        openapi_url="/openapi.json",
        title=TITLE,
        swagger_js_url="/docs/files/swagger-ui-bundle.js",
        swagger_css_url="/docs/files/swagger-ui.css",
        swagger_favicon_url="/docs/files/favicon.png",
    )


def _messages(version: str) -> Callable[[], Awaitable[Response]]:
    @cache
    def written() -> bytes:
        return orjson.dumps(asyncapi(TITLE, version))

    async def messages() -> Response:
        return Response(written(), media_type="application/json")

    return messages


async def _to_demo() -> RedirectResponse:
    return RedirectResponse("/demo/", HTTPStatus.PERMANENT_REDIRECT)  # a page's relative links need the slash


async def _refuse(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else HTTPStatus.NOT_FOUND
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        return _response(refused(_OTHER_METHOD, status=status), getattr(error, "headers", None))
    return _response(refused(_NOT_FOUND))


async def _fail(_request: Request, _error: Exception) -> Response:
    return _response(refused(INTERNAL))


def _response(answer: Answer, headers: dict[str, str] | None = None) -> Response:
    return Response(answer.body, answer.status, headers, media_type=answer.content_type.decode())
