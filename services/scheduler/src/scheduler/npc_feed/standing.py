"""Use case: somebody wants to know how the feeds stand; whoever leads knows, and nobody else."""

import time
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from chassis.clock import Clock
from chassis.responder import NotOursError
from contracts.npcs import FeedPage, FeedStanding, FeedTotals, ListFeeds

from scheduler.npc_feed.feed import Leads
from scheduler.npc_feed.zone import Zone


class Standings:
    """Of the zones in `zones`, which are there only where this process leads."""

    def __init__(self, zones: Mapping[str, Zone], leads: Leads, clock: Clock) -> None:
        self._zones = zones
        self._leads = leads
        self._clock = clock

    async def listed(self, question: ListFeeds) -> FeedPage:
        """Give a page of them; NotOursError where another leads."""
        if self._leads.term is None:
            raise NotOursError
        now, at = time.monotonic(), self._clock.now()
        if question.zone_id is not None:
            asked = self._zones.get(question.zone_id)
            return FeedPage(items=(_standing(asked, now, at),) if asked else (), totals=_totals(self._zones, now))
        if question.worst_first:
            zones = sorted(self._zones.values(), key=lambda zone: _badness(zone, now), reverse=True)
        else:
            named = sorted(zone_id for zone_id in self._zones if question.cursor is None or zone_id > question.cursor)
            zones = [self._zones[zone_id] for zone_id in named]
        items = tuple(_standing(zone, now, at) for zone in zones[: question.limit])
        goes_on = len(zones) > len(items) and not question.worst_first
        return FeedPage(
            items=items, totals=_totals(self._zones, now), next_cursor=items[-1].zone_id if goes_on else None
        )


def _badness(zone: Zone, now: float) -> tuple[bool, float]:
    """Stale ones first, then by how long the AI world has been silent; of what it never spoke nothing is amiss."""
    heard_at = zone.composition.heard_at
    return zone.is_stale(now), now - heard_at if heard_at is not None else 0.0


def _standing(zone: Zone, now: float, at: datetime) -> FeedStanding:
    def moment(past: float) -> datetime:
        return at - timedelta(seconds=now - past)

    heard_at = zone.composition.heard_at
    return FeedStanding(
        zone_id=zone.composition.zone_id,
        interval_s=zone.interval,
        seq=zone.seq,
        told_at=moment(zone.told_at) if zone.told_at is not None else None,
        npcs=len(zone.composition),
        stale=zone.is_stale(now),
        heard_at=moment(heard_at) if heard_at is not None else None,
        sources={source: moment(last) for source, last in sorted(zone.sources.items())},
        gaps=zone.gaps,
    )


def _totals(zones: Mapping[str, Zone], now: float) -> FeedTotals:
    every: Iterable[Zone] = list(zones.values())
    return FeedTotals(
        zones=len(zones),
        npcs=sum(len(zone.composition) for zone in every),
        stale=sum(zone.is_stale(now) for zone in every),
        gaps=sum(zone.gaps for zone in every),
    )
