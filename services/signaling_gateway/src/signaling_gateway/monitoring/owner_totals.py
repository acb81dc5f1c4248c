"""What is known of the whole suite: the owners' totals, and what stands behind them."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, TypeVar

from chassis.bus import Bus
from chassis.redis import TracedRedis
from chassis.refusals import RefusedError, ServiceError
from chassis.requests import call
from contracts.hosts import COUNT_HOSTS, HostCounts
from contracts.jobs import LIST_JOBS, Jobs
from contracts.npcs import LIST_FEEDS, FeedPage, ListFeeds
from contracts.refusals import Code
from contracts.sessions import COUNT_SESSIONS, SessionCounts
from contracts.subjects import Message, Nothing, Rpc
from contracts.zones import COUNT_ZONES, ZoneCounts

ASK_WITHIN = timedelta(seconds=1)
"""A total is a row or two; an owner that takes longer is counted as away."""

FEEDS_SHOWN = 50
"""On the dashboard, those that stand worst; `p2p feed` shows all."""

Question = TypeVar("Question", bound=Message)
Total = TypeVar("Total", bound=Message)


@dataclass(frozen=True, slots=True)
class OwnerTotals:
    """Totals are None where their owner did not answer."""

    hosts: HostCounts | None
    zones: ZoneCounts | None
    sessions: SessionCounts | None
    jobs: Jobs | None
    feeds: FeedPage | None
    nats: bool
    redis: bool
    postgres: bool | None
    """Whether the owners reach theirs; None when no owner answered. The gateway has none of its own."""

    @property
    def nothing_known(self) -> bool:
        return self.hosts is None and self.zones is None and self.sessions is None

    def away(self) -> list[str]:
        """What is not there, by name; empty when all is well."""
        there = {
            "nats": self.nats,
            "redis": self.redis,
            "postgres": self.postgres is not False,
            "host_registry": self.hosts is not None,
            "zone_manager": self.zones is not None,
            "session_manager": self.sessions is not None,
        }
        return [name for name, answers in there.items() if not answers]


@dataclass(frozen=True, slots=True)
class _Reply(Generic[Total]):
    total: Total | None
    postgres: bool | None


async def count(bus: Bus, redis: TracedRedis) -> OwnerTotals:
    """Ask everybody at once."""
    hosts, zones, sessions, jobs, feeds, redis_there = await asyncio.gather(
        _ask(bus, COUNT_HOSTS, Nothing()),
        _ask(bus, COUNT_ZONES, Nothing()),
        _ask(bus, COUNT_SESSIONS, Nothing()),
        _ask(bus, LIST_JOBS, Nothing()),
        _ask(bus, LIST_FEEDS, ListFeeds(worst_first=True, limit=FEEDS_SHOWN)),
        redis.answers(),
    )
    return OwnerTotals(
        hosts=hosts.total,
        zones=zones.total,
        sessions=sessions.total,
        jobs=jobs.total,
        feeds=feeds.total,
        nats=bus.connected,
        redis=redis_there,
        postgres=_all([hosts.postgres, zones.postgres, sessions.postgres]),
    )


async def _ask(bus: Bus, rpc: Rpc[Question, Total], question: Question) -> _Reply[Total]:
    try:
        return _Reply(await call(bus, rpc, question, deadline=ASK_WITHIN), postgres=True)
    except RefusedError as error:
        # The owner is there; what it lacks to count is its database.
        return _Reply(None, postgres=False if error.refusal.code is Code.UNAVAILABLE else None)
    except ServiceError:
        return _Reply(None, postgres=None)


def _all(answers: Sequence[bool | None]) -> bool | None:
    if False in answers:
        return False
    return True if True in answers else None
