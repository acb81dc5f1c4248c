"""Use case: the leading scheduler reads the AI service's Redis, and says what changed in it.

A pass goes over all its NPCs, page by page; who was in none of its pages is gone. Between pages others have their turn.
"""

import asyncio
from collections.abc import Callable, Collection
from itertools import count

from chassis import tracing
from chassis.refusals import UnavailableError
from prometheus_client import Counter

from scheduler.ai_service.complaints import Complaints
from scheduler.ai_service.index import Page, Pages
from scheduler.ai_service.played_lately import PlayedLately
from scheduler.ai_service.records import UnreadableError, npc_of_fields
from scheduler.ai_service.sayings import Saying, Sayings
from scheduler.ai_service.telling import Telling
from scheduler.ai_service.whereabouts import Maps, maps_of, zones_at
from scheduler.npc_feed.feed import Leads

PAGES_A_ROUND = 1000
"""A hundred thousand keys; of a greater Redis a pass takes several rounds, and the feed does not wait for it."""

READ = Counter("p2p_ai_redis_npcs", "Keys read in the AI service's Redis, by what they came to.", ["outcome"])


class Indexing:
    """`round` is called as often as the feed tells."""

    def __init__(
        self,
        pages: Pages,
        leadership: Leads,
        played: PlayedLately,
        telling: Telling,
        now: Callable[[], float],
        *,
        share: float,
    ) -> None:
        self._pages = pages
        self._leadership = leadership
        self._played = played
        self._telling = telling
        self._share = share
        self._complaints = Complaints(now)
        self._term: int | None = None
        self._sayings = Sayings()
        self._begin_pass()
        self.speaks = False
        """Whether the last pass went well."""

    @property
    def npc_ids(self) -> Collection[str]:
        """The NPCs of played zones that it named last."""
        return self._sayings.npc_ids

    async def begin_anew(self) -> None:
        """What was said may be lost: say everything again."""
        self._sayings.doubt()

    async def round(self) -> None:
        """Go over the index, if this process leads and somebody plays."""
        term = self._leadership.term
        if term != self._term:
            self._term = term
            self._sayings = Sayings()
            self._begin_pass()
            self.speaks = False
        zones = await self._played.now() if term is not None else {}
        self._sayings.keep_zones(zones.keys())
        if term is None or not zones:
            return
        try:
            await self._read(term, maps_of(zones.values()))
        except UnavailableError as error:
            self.speaks = False
            self._begin_pass()
            self._complaints.note("ai_redis.away", "away", error=str(error))

    def _begin_pass(self) -> None:
        self._cursor = 0
        self._found = 0
        self._seen: set[str] = set()

    async def _read(self, term: int, maps: Maps) -> None:
        for number in count(1):
            page = await self._pages.page(self._cursor)
            self._cursor = page.cursor
            self._found += len(page.npcs)
            changes = self._take(page, maps)
            last = page.cursor == 0
            if last:
                if not self._found:  # it was emptied, and is being made anew: nobody died of that
                    raise UnavailableError("There is no NPC in the AI service's Redis.")
                changes += [
                    said for npc_id in set(self._sayings.npc_ids) - self._seen for said in self._sayings.gone(npc_id)
                ]
            if self._leadership.term != term:  # the last moment to find out
                return
            await self._tell(changes)
            if last:
                break
            if number == PAGES_A_ROUND:
                return
            await asyncio.sleep(0)
        self._begin_pass()
        self.speaks = True
        await self._telling.tell(self._sayings.again(self._share))

    def _take(self, page: Page, maps: Maps) -> list[Saying]:
        changes: list[Saying] = []
        elsewhere = unusable = 0
        for npc_id, fields in page.npcs:
            where = zones_at(maps, fields.get("map", ""))
            if not where and npc_id not in self._sayings.npc_ids:
                elsewhere += 1
                continue
            try:
                state, left_out = npc_of_fields(npc_id, fields)
            except UnreadableError:
                unusable += 1
                continue
            if left_out:
                self._complaints.note("ai_redis.fields_left_out", ",".join(left_out), npc_id=npc_id)
            self._seen.add(npc_id)
            changes += self._sayings.place(state, where)
        READ.labels("unusable").inc(page.unusable + unusable)
        READ.labels("elsewhere").inc(elsewhere)
        READ.labels("told").inc(len(page.npcs) - elsewhere - unusable)
        if page.unusable or unusable:
            self._complaints.note("ai_redis.unusable", "keys", keys=page.unusable + unusable)
        return changes

    async def _tell(self, changes: list[Saying]) -> None:
        if changes:
            with tracing.root("read the AI service's index"):
                await self._telling.tell(changes)
