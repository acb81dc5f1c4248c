"""Every knob of session_manager."""

from datetime import timedelta

from chassis.settings import ServiceSettings
from pydantic import Field
from pydantic_settings import SettingsConfigDict


class Settings(ServiceSettings):
    """Read once, at the start."""

    model_config = SettingsConfigDict(env_prefix="SESSION_MANAGER_")

    seat_grace: timedelta = timedelta(seconds=30)
    """How long the seat of a closed socket is kept: a phone that changes networks is back in ten seconds."""

    gateway_silence: timedelta = timedelta(seconds=30)
    """Gateways speak every 10 s: after two words lost, the third is an absence, and their sockets count as closed."""

    idle_after: timedelta = timedelta(minutes=30)
    """Without a join, leave, report or signal for this long nobody plays there any more."""

    empty_after: timedelta = timedelta(minutes=10)
    """A session without players is kept for those who come back from a break, no longer."""

    place_within: timedelta = timedelta(seconds=2)
    """zone_manager answers in milliseconds; a client waits 3.5 s, and some of that is left for the rest."""

    pool_size: int = Field(default=8, ge=2)
    """Connections to PostgreSQL: enough that its commits are written together, too few to make its processes queue."""

    parallel_requests: int = Field(default=256, ge=1)
    """Requests at work at once; further ones wait in their subscription."""
