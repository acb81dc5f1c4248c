"""NPC state: what AI servers publish, and the feed that is composed of it for hosts and players."""

from typing import Literal

from pydantic import AwareDatetime, ConfigDict, Field

from contracts.identifiers import Identifier
from contracts.subjects import Message, Subject
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
    """What an AI server says of one NPC."""

    urgent: bool = False
    """Reaches hosts at once instead of with the next interval."""
    removed: bool = False


class Environment(Message):
    """Weather, time of day and the like; whatever else is set goes along."""

    model_config = ConfigDict(extra="allow")

    weather: SmallJson = None
    time_of_day: SmallJson = None
    season: SmallJson = None


class NpcFeed(Message):
    """The composed state of a zone: everything when `full`, else what changed since the number before."""

    type: Literal["npc-state"] = "npc-state"
    zone_id: str
    seq: int
    ts: AwareDatetime
    full: bool
    npcs: tuple[NpcRecord, ...] = ()
    removed: tuple[str, ...] = ()
    environment: Environment | None = None
    stale: bool = Field(default=False, description="The AI world has been silent for two intervals.")


class NpcEvent(Message):
    """What a host tells the AI world of one of its NPCs."""

    zone_id: Identifier
    npc_id: Identifier
    event: Text
    data: SmallJson = None
    session_id: str
    host_id: str


NPC_STATE = Subject("p2p.npc.{zone_id}.{npc_id}", NpcState)
ENVIRONMENT = Subject("p2p.environment.{zone_id}", Environment)
NPC_FEED = Subject("p2p.feed.{zone_id}", NpcFeed)
NPC_EVENT = Subject("p2p.npcevents.{zone_id}.{npc_id}", NpcEvent)
