"""Every knob of scheduler."""

from datetime import timedelta

from chassis.settings import ServiceSettings
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

    @property
    def lease(self) -> timedelta:
        return timedelta(seconds=self.lease_s)

    @property
    def session_health_every(self) -> timedelta:
        return timedelta(seconds=self.session_health_every_s)

    @property
    def session_cleanup_every(self) -> timedelta:
        return timedelta(seconds=self.session_cleanup_every_s)
