"""Every knob of session_manager."""

from chassis.settings import ServiceSettings, shared
from pydantic import Field
from pydantic_settings import SettingsConfigDict


class Settings(ServiceSettings):
    """Read once, at the start."""

    model_config = SettingsConfigDict(env_prefix="SESSION_MANAGER_")

    seat_grace_s: float = Field(default=30, ge=0)
    """How long the seat of a closed socket is kept: a phone that changes networks is back in ten seconds."""

    gateway_silent_after_s: float = Field(default=30, gt=0)
    """Gateways speak every 10 s: after two words lost the third is an absence, and their sockets count as closed."""

    idle_after_s: float = Field(default=30 * 60, gt=0)
    """Without a join, leave, report or signal for this long nobody plays there any more."""

    empty_after_s: float = Field(default=10 * 60, gt=0)
    """A session without players is kept for those who come back from a break, no longer."""

    enable_p2p: bool = shared("ENABLE_P2P", default=True)
    """False: every session leaves its host at once, as if each zone said that hosts may not serve it."""

    p2p_fallback_enabled: bool = shared("P2P_FALLBACK_ENABLED", default=True)
    """False: a session without a host fails, whatever its zone says."""

    unhealthy_after_s: float = Field(default=60, ge=0)
    """Bad at each look for this long; a home line's worst minute must not move everybody."""

    report_counts_for_s: float = Field(default=90, gt=0)
    """Players report every 30 s: what is older than three reports is nobody's experience now."""

    most_loss_percent: float = Field(default=10, ge=0, le=100)
    """Where every tenth packet is lost, a game stutters that one can play at 5."""

    return_after_s: float = Field(default=60, ge=0)
    """A host that comes and goes would throw its players to and fro; one that stayed a minute mostly stays."""

    place_within_s: float = Field(default=2, gt=0)
    """zone_manager answers in milliseconds; a client waits 3.5 s, and some of that is left for the rest."""

    migrate_within_s: float = Field(default=10, gt=0)
    """Without a host, and without an answer whether there is one, for this long: the zone's policy decides."""

    pool_size: int = Field(default=8, ge=2)
    """Connections to PostgreSQL: enough that its commits are written together, too few to make its processes queue."""

    parallel_requests: int = Field(default=256, ge=1)
    """Requests at work at once; further ones wait in their subscription."""
