"""NPC state: what AI servers publish, and the feed that is composed of it for hosts and players."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal

from pydantic import AwareDatetime, ConfigDict, Field

from contracts.identifiers import Identifier
from contracts.subjects import Message, Page, Rpc, Subject, says_its_type
from contracts.values import SmallJson, Text


class NpcRecord(Message):
    """An NPC as a player's machine may know it; nothing else of it ever leaves."""

    npc_id: Identifier
    name: Text | None = None
    npc_class: Text | None = None
    level: int | None = None
    map: Text | None = None
    x: float | None = None
    y: float | None = None
    status: Text | None = None
    updated_at: AwareDatetime | None = None


class NpcState(NpcRecord):
    """What an AI server says of one NPC; what its subject says of zone and NPC may be left out or must agree."""

    zone_id: Identifier | None = None
    urgent: bool = False
    """Reaches hosts at once instead of with the next interval."""
    removed: bool = False


class Environment(Message):
    """Weather, time of day and the like; whatever else is set goes along."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, SmallJson]

    weather: SmallJson = None
    time_of_day: SmallJson = None
    season: SmallJson = None


class NpcFeed(Message):
    """The composed state of a zone: everything when `full`, else what changed since `seq` - 1.

    A message whose `seq` is not greater than the one before comes from a deposed scheduler and is left out; a greater
    gap means that something was missed: say so on FEED_WANTED, or with another `subscribe`. What is too much for one
    message goes on in the next numbers. There is one message per interval even when nothing changed.
    """

    model_config = ConfigDict(json_schema_extra=says_its_type)

    type: Literal["npc-state"] = "npc-state"
    zone_id: str
    seq: int
    ts: AwareDatetime
    full: bool
    npcs: tuple[NpcRecord, ...] = ()
    removed: tuple[str, ...] = ()
    environment: Environment | None = None
    stale: bool = Field(default=False, description="The AI world has been silent for two intervals.")
    traceparent: str | None = None
    """Of the urgent change that this message brings."""


SOURCE = "p2p-source"
"""The header in which the suite's own adapters say who they are; what comes without is an AI server's own word."""


class Source(StrEnum):
    """How the AI world is heard."""

    NATS = "nats"
    """An AI server, or any other NATS client."""
    HTTP = "http"
    REDIS = "redis"


class ListFeeds(Page):
    """How the feeds stand, by zone; or a page of those that stand worst: stale ones, then whose AI world is silent."""

    zone_id: Identifier | None = None
    worst_first: bool = False


class FeedStanding(Message):
    """How a zone's feed stands, as its leader knows."""

    zone_id: str
    interval_s: float
    seq: int | None
    """The number that was told last; none yet."""
    told_at: AwareDatetime | None
    npcs: int
    stale: bool
    heard_at: AwareDatetime | None
    """When the AI world spoke of it last; None: not since this leader follows it."""
    sources: Mapping[Source, AwareDatetime]
    """Who was heard, and when last."""
    gaps: int
    """How often somebody has missed a number, since this leader follows it."""


class FeedTotals(Message):
    """Of all zones that are told."""

    zones: int
    npcs: int
    stale: int
    gaps: int


class FeedPage(Message):
    """One page of feeds, and the totals of all."""

    items: tuple[FeedStanding, ...]
    totals: FeedTotals | None = None
    next_cursor: str | None = None


class FeedWanted(Message):
    """Somebody knows nothing of a zone's feed, or has missed a number: the next message will be full."""

    seq: int | None = None
    """The last number that was heard; none yet."""


class NpcEvent(Message):
    """What a host tells the AI world of one of its NPCs."""

    zone_id: Identifier
    npc_id: Identifier
    event: Text
    data: SmallJson = None
    session_id: str
    host_id: str


LIST_FEEDS = Rpc("p2p.feeds.list", ListFeeds, FeedPage, asks_all=True)
"""The scheduler that leads answers; the others are silent."""

NPC_STATE = Subject("p2p.npc.{zone_id}.{npc_id}", NpcState)
ENVIRONMENT = Subject("p2p.environment.{zone_id}", Environment)
NPC_FEED = Subject("p2p.feed.{zone_id}", NpcFeed)
FEED_WANTED = Subject("p2p.feed.{zone_id}.wanted", FeedWanted)
NPC_EVENT = Subject("p2p.npcevents.{zone_id}.{npc_id}", NpcEvent)
