"""Every knob of scheduler."""

from datetime import timedelta

from chassis.settings import ServiceSettings, shared
from contracts.identifiers import Identifier
from pydantic import Field
from pydantic_settings import SettingsConfigDict


class Settings(ServiceSettings):
    """Read once, at the start."""

    model_config = SettingsConfigDict(env_prefix="SCHEDULER_")

    lease_s: float = Field(default=3.0, ge=0.3, le=60)
    """How long a leader that has gone silent is waited for. Long enough for a NATS restart (0.3 to 0.6 s) and a slow
    machine's pause, short enough that no 5 s job ever misses a tick."""

    session_health_every_s: float = Field(default=30.0, ge=0.1, le=86_400)
    """A host that is lost is moved at once, by its event; this catches what no event tells: sessions getting worse."""

    session_cleanup_every_s: float = Field(default=300.0, ge=0.1, le=86_400)
    """Sessions end after 30 minutes without activity; five minutes more are not noticed by anybody."""

    npc_feed_every_s: float = Field(default=5.0, ge=0.2, le=300)
    """NPCs walk a few cells in that time, which a page draws as one movement; a zone may set its own."""

    npc_full_every_s: float = Field(default=60.0, ge=1, le=3600)
    """Whoever missed something says so; this is for those who do not know it, and costs a delta's bytes once more."""

    npc_forgotten_after_s: float = Field(default=600.0, ge=1, le=86_400)
    """As long as the stream keeps a word, so that a new leader and the one before know the same NPCs."""

    ai_service_enabled: bool = shared("AI_SERVICE_ENABLED", default=False)
    """Whether an AI service that speaks only HTTP is asked."""

    ai_service_url: str = shared("AI_SERVICE_URL", default="http://127.0.0.1:8000", pattern=r"^https?://[^/?#]+")

    ai_service_api_key: str = shared("AI_SERVICE_API_KEY", default="", repr=False, pattern=r"^[!-~]*$")
    """Sent as `X-API-Key`, where there is one."""

    ai_service_npcs: dict[Identifier, tuple[Identifier, ...]] = shared("AI_SERVICE_NPCS", default_factory=dict)
    """Zone -> ids of its NPCs, as JSON: the service has no question for them, so somebody must know them."""

    ai_service_requests_per_minute: int = shared("AI_SERVICE_REQUESTS_PER_MINUTE", default=90, ge=1, le=10_000)
    """Ten fewer than the service allows: what it lets lie while it hangs it counts when it wakes up."""

    ai_redis_url: str = shared("AI_REDIS_URL", default="", repr=False, pattern=r"^$|^(?:rediss?|unix)://")
    """The AI service's own Redis, with its database: `redis://host:6379/0`. Nothing is read without it."""

    @property
    def lease(self) -> timedelta:
        return timedelta(seconds=self.lease_s)

    @property
    def session_health_every(self) -> timedelta:
        return timedelta(seconds=self.session_health_every_s)

    @property
    def session_cleanup_every(self) -> timedelta:
        return timedelta(seconds=self.session_cleanup_every_s)

    @property
    def npc_feed_every(self) -> timedelta:
        return timedelta(seconds=self.npc_feed_every_s)

    @property
    def npc_full_every(self) -> timedelta:
        return timedelta(seconds=self.npc_full_every_s)

    @property
    def npc_forgotten_after(self) -> timedelta:
        return timedelta(seconds=self.npc_forgotten_after_s)
