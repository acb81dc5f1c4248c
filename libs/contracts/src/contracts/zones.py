"""What zone_manager answers and announces: zones, their requirements, and which host serves them."""

from collections.abc import Mapping
from enum import StrEnum

from pydantic import AwareDatetime, Field

from contracts.hosts import Host, HostPage, Rejection
from contracts.identifiers import Identifier
from contracts.refusals import Code
from contracts.retelling import Retell, Retold
from contracts.subjects import Fact, Message, Nothing, Page, Rpc, Subject
from contracts.values import Capacity, Count, LongText, Score, Text


class ZoneStatus(StrEnum):
    """Whether a zone takes new sessions."""

    ENABLED = "enabled"
    DISABLED = "disabled"
    MAINTENANCE = "maintenance"


class Requirements(Message):
    """What a zone asks of its hosts, and what becomes of its players where none fits."""

    max_players: Capacity = 100
    recommended_players: Capacity = 50
    p2p_enabled: bool = True
    p2p_priority: int = Field(default=1, ge=1, le=10)
    fallback_enabled: bool = True
    min_host_quality_score: Score = 50
    """1 up to but not 10 is the old scale and is stored times ten."""
    min_bandwidth_mbps: Count = 100
    max_latency_ms: Count = 100
    description: LongText | None = None
    fallback_endpoint: Text | None = None
    """Where players go when no host can serve; host:port or URL of the central server."""
    relay_only: bool = False
    regions: tuple[Text, ...] = Field(default=(), max_length=64)
    """Regions whose hosts may serve; empty allows all."""
    checkpoint_interval_s: int | None = Field(default=None, ge=1, le=3600)
    npc_feed_interval_s: float | None = Field(default=None, ge=0.2, le=300)
    """How often its NPCs are told; null: as often as scheduler is set to, every 5 s."""
    standby: bool = False
    """Whether each of its sessions with players has a second host in reserve, which takes over when its own is lost."""


class PutZone(Requirements):
    """Make a zone, or renew it; its status stays as it was."""

    zone_id: Identifier
    zone_name: Text
    zone_display_name: Text
    map_name: Text


class ChangeZone(Requirements):
    """Change the fields that are set, leave the others; an explicit null clears an optional one."""

    zone_id: Identifier
    zone_name: Text = "unchanged"
    zone_display_name: Text = "unchanged"
    map_name: Text = "unchanged"
    status: ZoneStatus = ZoneStatus.ENABLED


class Zone(Message):
    """A zone as everybody sees it."""

    id: int
    zone_id: str
    zone_name: str
    zone_display_name: str
    map_name: str
    max_players: int
    recommended_players: int
    p2p_enabled: bool
    p2p_priority: int
    fallback_enabled: bool
    min_host_quality_score: float
    min_bandwidth_mbps: int
    max_latency_ms: int
    description: str | None
    fallback_endpoint: str | None
    relay_only: bool
    regions: tuple[str, ...]
    checkpoint_interval_s: int | None
    npc_feed_interval_s: float | None = None
    standby: bool = False
    status: ZoneStatus
    total_sessions: int
    active_sessions: int
    total_players_served: int
    created_at: AwareDatetime
    updated_at: AwareDatetime


class NameZone(Message):
    """A question about one zone."""

    zone_id: Identifier


class ListZones(Page):
    """Zones by priority descending, then by name."""

    status: ZoneStatus | None = None
    p2p_enabled: bool | None = None


class ZonePage(Message):
    """One page of zones."""

    items: tuple[Zone, ...]
    next_cursor: str | None = None


class SetZoneStatus(Message):
    """Enable, disable or put into maintenance."""

    zone_id: Identifier
    status: ZoneStatus


class SetZoneP2p(Message):
    """Let hosts serve the zone, or only the central server."""

    zone_id: Identifier
    p2p_enabled: bool


class ExplainZone(Message):
    """How each host stands against the zone, now, for these players."""

    zone_id: Identifier
    players: tuple[Identifier, ...] = ()


class Judgement(Message):
    """One host, and why it was or was not chosen."""

    host_id: str
    chosen: bool
    rejections: tuple[Rejection, ...]
    quality_score: float
    confidence: float
    score_parts: Mapping[str, float]
    seats_free: int
    slots_free: int
    worst_round_trip_ms: float | None
    """Of the joining players to this host, where known."""
    connected: bool | None = None
    """Whether it holds a signaling socket: such hosts come first."""


class ZoneExplained(Message):
    """The 100 best candidates, best first, and counts per code for the rest."""

    zone_id: str
    judgements: tuple[Judgement, ...]
    rejected_counts: Mapping[Rejection, int]


class RankHosts(Message):
    """The hosts that would serve the zone, in the order of placement; reserves nothing."""

    zone_id: Identifier
    min_quality_score: Score | None = None
    """Raises the zone's own minimum."""
    limit: int = Field(default=64, ge=1, le=64)


class Place(Message):
    """Choose a host for a session and hold a slot on it."""

    zone_id: Identifier
    session_id: str
    player_ids: tuple[Identifier, ...] = ()
    host_id: Identifier | None = None
    """This host or a refusal that says why not."""
    exclude: tuple[Identifier, ...] = ()


class Placement(Message):
    """The chosen host, the zone it serves, and why it was chosen."""

    host: Host
    zone: Zone
    judgements: tuple[Judgement, ...] = Field(max_length=8)
    """The chosen host first, then the runners-up."""
    considered: int


class ZoneCounts(Message):
    """Totals over all zones."""

    total: int
    enabled: int
    disabled: int


class ZoneFact(Fact):
    """A zone was made or changed; `zone` is how it stood afterwards."""

    zone_id: str
    zone: Zone


_NOT_FOUND = frozenset({Code.ZONE_NOT_FOUND})

PUT_ZONE = Rpc("p2p.zones.put", PutZone, Zone, frozenset())
GET_ZONE = Rpc("p2p.zones.get", NameZone, Zone, _NOT_FOUND)
LIST_ZONES = Rpc("p2p.zones.list", ListZones, ZonePage, frozenset())
CHANGE_ZONE = Rpc("p2p.zones.change", ChangeZone, Zone, _NOT_FOUND)
SET_ZONE_STATUS = Rpc("p2p.zones.status", SetZoneStatus, Zone, _NOT_FOUND)
SET_ZONE_P2P = Rpc("p2p.zones.p2p", SetZoneP2p, Zone, _NOT_FOUND)
EXPLAIN_ZONE = Rpc("p2p.zones.explain", ExplainZone, ZoneExplained, _NOT_FOUND)
RANK_HOSTS = Rpc("p2p.zones.rank", RankHosts, HostPage, _NOT_FOUND)
PLACE = Rpc(
    "p2p.zones.place",
    Place,
    Placement,
    frozenset(
        {Code.ZONE_NOT_FOUND, Code.ZONE_DISABLED, Code.NO_HOST_FREE, Code.HOST_NOT_FOUND, Code.HOST_NOT_ELIGIBLE}
    ),
)
"""NO_HOST_FREE and HOST_NOT_ELIGIBLE carry `rejected_counts` or `rejections` in their fields.

NO_HOST_FREE also has `fallback_endpoint` where the zone's players may go to the central server meanwhile.
"""
COUNT_ZONES = Rpc("p2p.zones.count", Nothing, ZoneCounts, frozenset())
RETELL_ZONES = Rpc("p2p.zones.retell", Retell, Retold, frozenset())

ZONE_CHANGED = Subject("p2p.events.zones.{zone_id}.changed", ZoneFact)
