"""Every knob of session_manager."""

from chassis.settings import ServiceSettings
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

    place_within_s: float = Field(default=2, gt=0)
    """zone_manager answers in milliseconds; a client waits 3.5 s, and some of that is left for the rest."""

    pool_size: int = Field(default=8, ge=2)
    """Connections to PostgreSQL: enough that its commits are written together, too few to make its processes queue."""

    parallel_requests: int = Field(default=256, ge=1)
    """Requests at work at once; further ones wait in their subscription."""
