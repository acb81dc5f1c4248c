"""What host_registry answers and announces: machines of players that offer to host zones."""

from collections.abc import Mapping
from enum import StrEnum

from pydantic import AwareDatetime, Field, JsonValue

from contracts.identifiers import Identifier
from contracts.refusals import Code
from contracts.retelling import Retell, Retold
from contracts.subjects import Fact, Message, Nothing, Page, Rpc, Subject
from contracts.values import Amount, Capacity, Count, Mbps, Milliseconds, Percent, Score, SmallJson, Text, Word


class HostStatus(StrEnum):
    """Where a host stands; only `online` hosts get new sessions."""

    ONLINE = "online"
    SUSPECT = "suspect"
    OFFLINE = "offline"
    BUSY = "busy"
    MAINTENANCE = "maintenance"
    DRAINING = "draining"


class Machine(Message):
    """What a host says of where and what it is, and how much it offers."""

    ip_address: Text | None = None
    port: int | None = Field(default=None, ge=1, le=65535)
    public_ip: Text | None = None
    cpu_cores: Amount | None = None
    cpu_frequency_mhz: Amount | None = None
    memory_mb: Amount | None = None
    network_speed_mbps: Amount | None = None
    ice_servers: SmallJson = None
    max_players: Capacity = 50
    max_zones: Capacity = 5
    region: Text | None = None
    accepts_probes: bool = False
    """Whether it answers `probe-offer` on its signaling socket, so that its connection can be measured."""
    metadata: SmallJson = None


class RegisterHost(Machine):
    """Make a host known, or renew all that is known of it; counts as a beat."""

    host_id: Identifier
    player_id: Identifier
    player_name: Text
    peer_id: Identifier | None = None
    """Its name in signaling; the `host_id` when absent."""
    run_id: Text | None = None
    """Of the run of its program that registers: whoever leaves with it undoes no later registration."""


class Heartbeat(Message):
    """A host's sign of life and what it says of itself; everything may be absent."""

    latency_ms: Milliseconds | None = None
    packet_loss_percent: Percent | None = None
    bandwidth_usage_mbps: Mbps | None = None
    current_players: Count | None = None
    current_zones: Count | None = None


class BeatHost(Heartbeat):
    """A heartbeat that waits for its answer."""

    host_id: Identifier


class ChangeHost(Machine):
    """Change the fields that are set, leave the others; an explicit null clears an optional one."""

    host_id: Identifier
    player_name: Text = "unchanged"
    status: HostStatus = HostStatus.ONLINE
    """`online`, `busy` or `maintenance`; the others are the registry's own verdicts and are refused."""


class Host(Message):
    """A host as everybody sees it: what it registered, what it does now, how good it is."""

    id: int
    host_id: str
    player_id: str | None
    player_name: str
    peer_id: str
    ip_address: str | None
    port: int | None
    public_ip: str | None
    cpu_cores: int | None
    cpu_frequency_mhz: int | None
    memory_mb: int | None
    network_speed_mbps: int | None
    latency_ms: float | None
    packet_loss_percent: float | None
    bandwidth_usage_mbps: float | None
    status: HostStatus
    max_players: int
    current_players: int
    max_zones: int
    current_zones: int
    quality_score: float
    region: str | None
    confidence: float = Field(ge=0, le=1)
    """How far latency and loss are known rather than claimed, 0 when nobody has reported them; ages with the report."""
    measured: bool
    """Whether players or probes have measured it; then latency and loss are what they measured."""
    measured_at: AwareDatetime | None = None
    jitter_ms: float | None = None
    """How much the round trips of the last probe differ from one to the next, on average."""
    upload_mbps: float | None = None
    """What the host could send in the last probe of it; a probe can tell that of slow lines only."""
    accepts_probes: bool = False
    connected: bool
    """Whether it holds a signaling socket."""
    metadata: JsonValue = None
    """As it was registered: an answer is not refused for what a host said under another release's bounds."""
    last_heartbeat: AwareDatetime | None
    created_at: AwareDatetime
    updated_at: AwareDatetime


class NameHost(Message):
    """A question about one host."""

    host_id: Identifier
    run_id: Text | None = None
    """Of whoever leaves: that it registered with; CONFLICT, and nothing done, where another has registered since."""


class NamePeer(Message):
    """A question about whoever signals under this name."""

    peer_id: Identifier


class ListHosts(Page):
    """Hosts, best score first."""

    status: HostStatus | None = None
    min_quality_score: Score | None = None
    region: Text | None = None
    available: bool = False
    """Only hosts that could take a session now: online, beat fresh, a seat and a zone slot free."""


class HostPage(Message):
    """One page of hosts; fewer than asked for where more would not fit one reply."""

    items: tuple[Host, ...]
    next_cursor: str | None = None
    count: int | None = None
    """Of `items`: whoever passes them on need not read them to know."""


class Rejection(StrEnum):
    """Why a host does not serve a zone now."""

    NOT_ONLINE = "not_online"
    BEAT_STALE = "beat_stale"
    DRAINING = "draining"
    HOST_FULL = "host_full"
    NO_ZONE_SLOT = "no_zone_slot"
    SCORE_TOO_LOW = "score_too_low"
    BANDWIDTH_UNKNOWN = "bandwidth_unknown"
    BANDWIDTH_TOO_LOW = "bandwidth_too_low"
    LATENCY_TOO_HIGH = "latency_too_high"
    REGION_NOT_ALLOWED = "region_not_allowed"
    EXCLUDED = "excluded"


class FindHosts(Message):
    """Which hosts meet these bounds; the zone's requirements, put so that the registry can rank by them."""

    seats: Count = 0
    """How many players join at once."""
    min_quality_score: Score = 0
    min_bandwidth_mbps: float = Field(default=0, ge=0)
    max_latency_ms: float | None = Field(default=None, ge=0)
    regions: tuple[Word, ...] = ()
    """Allowed ones; empty allows all."""
    host_id: Identifier | None = None
    """Judge this host alone."""
    exclude: tuple[Identifier, ...] = ()
    limit: int = Field(default=64, ge=1, le=100)
    rejected: bool = False
    """Also give rejected hosts (up to `limit` in all) and count the rest by code."""


class Candidate(Message):
    """A host and how it stands against the bounds."""

    host: Host
    rejections: tuple[Rejection, ...] = ()
    """Empty: it is able."""
    seats_taken: int
    """By players of sessions, as announced; not what the host says of itself."""
    slots_taken: int
    score_parts: Mapping[str, float]
    """latency, packet_loss, room, cpu, memory, network: they add up to the score."""


class HostsFound(Message):
    """Able hosts first, best first; then rejected ones if asked for."""

    candidates: tuple[Candidate, ...]
    rejected_counts: Mapping[Rejection, int] = Field(default_factory=dict)
    """Of the hosts not listed, how many fail by each code; a host with two reasons counts twice."""


class ReserveSlot(Message):
    """Hold one of the host's zone slots for a session; repeated, it is the same slot.

    Expires after 30 s unless the session's `created` or `migrated` event confirms it.
    """

    host_id: Identifier
    session_id: str
    zone_id: Identifier
    seats: Count = 0


class ReleaseSlot(Message):
    """Give a slot back; giving back what is not held is no error."""

    host_id: Identifier
    session_id: str


class PeerHost(Message):
    """The host that signals under a name, if there is one."""

    host: Host | None


class QualityDistribution(Message):
    """Online hosts by score: excellent from 90, good from 70, fair from 50, poor below."""

    excellent: int
    good: int
    fair: int
    poor: int


class HostCounts(Message):
    """Totals over all hosts, kept as they change."""

    total: int
    online: int
    offline: int
    average_quality_score: float
    """Of the hosts online."""
    quality_distribution: QualityDistribution


class HostFact(Fact):
    """Something happened to a host; `host` is how it stood afterwards."""

    host_id: str
    host: Host
    reason: str | None = None
    """Of suspect and offline: `silent` (beats were missed), `socket_gone` (its signaling socket closed, and no beat
    came since), `players_lost_it` (players lost their channels to it; offline only where its socket closed too).
    Of online: `beat`."""


class ScoreChanged(Message):
    """A score moved by 5 points or more; told at most every 10 s per host, and not stored with the host."""

    host_id: str
    quality_score: float
    previous: float
    occurred_at: AwareDatetime


_NOT_FOUND = frozenset({Code.HOST_NOT_FOUND})

REGISTER_HOST = Rpc("p2p.hosts.register", RegisterHost, Host, frozenset({Code.CONFLICT}))
"""CONFLICT: the `peer_id` belongs to another host."""
BEAT_HOST = Rpc("p2p.hosts.beat", BeatHost, Host, _NOT_FOUND)
GET_HOST = Rpc("p2p.hosts.get", NameHost, Host, _NOT_FOUND)
CHANGE_HOST = Rpc("p2p.hosts.change", ChangeHost, Host, frozenset({Code.HOST_NOT_FOUND, Code.WRONG_STATE}))
LIST_HOSTS = Rpc("p2p.hosts.list", ListHosts, HostPage, frozenset())
FIND_HOSTS = Rpc("p2p.hosts.find", FindHosts, HostsFound, _NOT_FOUND)
RESERVE_SLOT = Rpc("p2p.hosts.reserve", ReserveSlot, Host, frozenset({Code.HOST_NOT_FOUND, Code.HOST_NOT_ELIGIBLE}))
RELEASE_SLOT = Rpc("p2p.hosts.release", ReleaseSlot, Nothing, frozenset())
DRAIN_HOST = Rpc("p2p.hosts.drain", NameHost, Host, _NOT_FOUND | {Code.CONFLICT})
DELETE_HOST = Rpc("p2p.hosts.delete", NameHost, Nothing, _NOT_FOUND | {Code.CONFLICT})
FIND_PEER_HOST = Rpc("p2p.hosts.of_peer", NamePeer, PeerHost, frozenset())
COUNT_HOSTS = Rpc("p2p.hosts.count", Nothing, HostCounts, frozenset())
RETELL_HOSTS = Rpc("p2p.hosts.retell", Retell, Retold, frozenset())

HEARTBEAT = Subject("p2p.heartbeat.{host_id}", Heartbeat)
"""Fire and forget; no answer, no refusal."""

HOST_REGISTERED = Subject("p2p.events.hosts.{host_id}.registered", HostFact)
HOST_CHANGED = Subject("p2p.events.hosts.{host_id}.changed", HostFact)
HOST_ONLINE = Subject("p2p.events.hosts.{host_id}.online", HostFact)
HOST_SUSPECT = Subject("p2p.events.hosts.{host_id}.suspect", HostFact)
HOST_OFFLINE = Subject("p2p.events.hosts.{host_id}.offline", HostFact)
HOST_DRAINING = Subject("p2p.events.hosts.{host_id}.draining", HostFact)
HOST_DELETED = Subject("p2p.events.hosts.{host_id}.deleted", HostFact)
SCORE_CHANGED = Subject("p2p.events.hosts.{host_id}.score-changed", ScoreChanged)
