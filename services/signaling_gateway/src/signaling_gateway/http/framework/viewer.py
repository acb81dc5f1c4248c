"""The page at `/docs/messages` that shows the AsyncAPI document; its files are ours, and nothing else runs on it."""

from pathlib import Path

from fastapi import FastAPI
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

from signaling_gateway.http.framework.pages import PAGE_HEADERS

PLACE = "/docs/messages"


def add_viewer(app: FastAPI, files: StaticFiles, page: Path) -> None:
    """Serve the page, and beneath it what it is made of."""
    headers = {name.decode(): value.decode() for name, value in PAGE_HEADERS}

    def viewer() -> HTMLResponse:
        return HTMLResponse(page.read_bytes(), headers=headers)

    app.get(PLACE, include_in_schema=False)(viewer)
    app.mount(PLACE, files)
