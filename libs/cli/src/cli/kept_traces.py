"""What the suite's store of spans answers."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

from embedded.errors import EmbeddedError

ANSWER_WITHIN_S = 5.0

SETTLED_AFTER = timedelta(seconds=1.5)
"""Services send twice a second: a trace whose last span ended so long ago has all of it, as a rule."""

PATIENCE_S = 3.0
"""What has not arrived by then was not kept, or is still going on."""

LOOK_EVERY_S = 0.2


class StoreAwayError(EmbeddedError):
    """The store does not answer, or it is none; the message says which."""


class Store:
    def __init__(self, url: str, key: str = "") -> None:
        self._url = url.rstrip("/")
        self._shown = {"Authorization": f"Bearer {key}"} if key else {}

    def about(self, thing: str, most: int) -> list[dict[str, Any]]:
        """Summaries of the traces that speak of a session, host or zone, latest first."""
        told = self._ask(f"/api/traces?about={quote(thing, safe='')}&limit={most}")
        return [] if told is None else list(told["traces"])

    def spans(self, trace_id: str) -> list[dict[str, Any]]:
        """Those of one trace, earliest first; none when it is unknown."""
        told = self._ask(f"/api/traces/{trace_id}")
        return [] if told is None else list(told["spans"])

    def _ask(self, path: str) -> dict[str, Any] | None:
        """Give what it tells, None where nothing is."""
        asked = Request(f"{self._url}{path}", headers=self._shown)  # noqa: S310  its scheme was checked
        try:
            with urlopen(asked, timeout=ANSWER_WITHIN_S) as answer:  # noqa: S310
                told: dict[str, Any] = json.load(answer)
        except HTTPError as error:
            if error.code == HTTPStatus.NOT_FOUND:
                return None
            if error.code == HTTPStatus.UNAUTHORIZED:
                raise StoreAwayError(f"{self._url} asks for its key: set TRACES_KEY, or give --key") from error
            raise StoreAwayError(f"{self._url} answers {error.code} {error.reason}") from error
        except (URLError, OSError, ValueError) as error:
            raise StoreAwayError(f"no store of spans answers at {self._url}: {error}") from error
        return told


def settled(find: Callable[[], list[list[dict[str, Any]]]]) -> list[list[dict[str, Any]]]:
    """Find until there is something and it has come to rest, within patience."""
    until = time.monotonic() + PATIENCE_S
    while True:
        found = find()
        ends = [datetime.fromisoformat(span["end"]) for spans in found for span in spans]
        if (ends and datetime.now(UTC) - max(ends) > SETTLED_AFTER) or time.monotonic() > until:
            return found
        time.sleep(LOOK_EVERY_S)
