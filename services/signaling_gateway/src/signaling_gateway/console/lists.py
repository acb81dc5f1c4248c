"""Lists of hosts, sessions and zones: each asked for once, however many consoles show it."""

import asyncio
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any

import orjson
from chassis.bus import Bus
from chassis.refusals import ServiceError
from chassis.requests import call_raw
from contracts.hosts import LIST_HOSTS, HostPage
from contracts.identifiers import Identifier
from contracts.sessions import LIST_SESSIONS, SessionPage
from contracts.subjects import Message, Page, Rpc
from contracts.values import Cursor, Text
from contracts.zones import LIST_ZONES, ZonePage
from pydantic import Field

ASK_WITHIN = timedelta(seconds=1)
"""A page is one look along an index; an owner that takes longer is as good as away."""

AGAIN_AFTER_S = 2.0
"""What changes without a fact, such as load and the age of beats, is seen this late."""

CHANGED_AGAIN_AFTER_S = 0.5
"""A fact of the owner has it asked at once, though not more often than this."""


class View(StrEnum):
    """Which list; each is the owner's as its facts' subjects name it."""

    HOSTS = "hosts"
    SESSIONS = "sessions"
    ZONES = "zones"


_RPCS: dict[View, Rpc[Any, Any]] = {
    View.HOSTS: LIST_HOSTS,
    View.SESSIONS: LIST_SESSIONS,
    View.ZONES: LIST_ZONES,
}


class Listing(Message):
    """Which part of which list; filters that a list does not know change nothing."""

    view: View = View.HOSTS
    limit: int = Field(default=50, ge=1, le=100)
    cursor: Cursor | None = Field(default=None, max_length=2048)
    status: Text | None = None
    region: Text | None = None
    host_id: Identifier | None = None
    zone_id: Identifier | None = None
    player_id: Identifier | None = None
    live: bool = False
    """Of sessions, only those that are neither ended nor failed."""


class Listed(Message):
    """A part of a list, or why it is not known."""

    view: View
    known: bool
    detail: str | None = None
    page: HostPage | SessionPage | ZonePage | None = None


def question_of(listing: Listing) -> Page:
    """The owner's question; pydantic's ValidationError where the filter is none of its."""
    asked: Page = _RPCS[listing.view].question.model_validate(
        listing.model_dump(exclude={"view"}, exclude_none=True, exclude_defaults=True) | {"limit": listing.limit}
    )
    return asked


@dataclass
class _Shown:
    """One list, as it was told last."""

    body: bytes = b""
    asked_at: float = 0.0
    changed: bool = False
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def fresh(self) -> bool:
        return time.monotonic() - self.asked_at < (CHANGED_AGAIN_AFTER_S if self.changed else AGAIN_AFTER_S)


class Lists:
    """Those that are on show, as their owners last told them."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._shown: dict[Listing, _Shown] = {}

    def of(self, listing: Listing) -> bytes:
        """As JSON, `Listed`, the very same object for as long as nothing has changed; empty before it is known."""
        shown = self._shown.get(listing)
        return shown.body if shown is not None else b""

    async def look(self, listing: Listing) -> bytes:
        """Ask again, unless that was done just now."""
        shown = self._shown.setdefault(listing, _Shown())
        async with shown.asking:
            if not shown.fresh:
                shown.changed = False
                found = await self._ask(listing)
                shown.body = shown.body if found == shown.body else found
                shown.asked_at = time.monotonic()
        return shown.body

    def changed(self, owners: Collection[str]) -> None:
        """Take note that things of these owners are not as they were."""
        for listing, shown in self._shown.items():
            shown.changed |= listing.view in owners

    def keep_only(self, listings: Collection[Listing]) -> None:
        self._shown = {listing: shown for listing, shown in self._shown.items() if listing in listings}

    async def _ask(self, listing: Listing) -> bytes:
        question = question_of(listing).model_dump_json(exclude_unset=True).encode()
        try:
            page = await call_raw(self._bus, _RPCS[listing.view], question, deadline=ASK_WITHIN)
        except ServiceError as error:
            return orjson.dumps({"view": listing.view, "known": False, "detail": error.refusal.detail, "page": None})
        return orjson.dumps({"view": listing.view, "known": True, "detail": None, "page": orjson.Fragment(page)})
