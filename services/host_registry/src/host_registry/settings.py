"""Every knob of host_registry."""

from datetime import timedelta
from typing import Self

from chassis.settings import ServiceSettings
from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict

from host_registry.deadlines import Patience


class Settings(ServiceSettings):
    """Read once, at the start; times are in seconds."""

    model_config = SettingsConfigDict(env_prefix="HOST_REGISTRY_")

    suspect_after_s: float = Field(default=20, gt=0)
    """A beat is due every 15 s; 5 s more is a slow line, then it is a missed beat."""

    offline_after_s: float = Field(default=45, gt=0)
    """Two lost beats happen on a good home line; the third is an absence."""

    cut_off_after_s: float = Field(default=2, gt=0)
    """Time for a host whose socket closed to beat or to open another: a Wi-Fi roams in less."""

    gateway_silent_after_s: float = Field(default=30, gt=0)
    """Gateways announce themselves every 10 s; after three announcements missed their sockets are not believed in."""

    slot_held_for_s: float = Field(default=30, gt=0)
    """From a reservation to the session's `created` fact it takes milliseconds; half a minute bears a restart."""

    tick_s: float = Field(default=1, gt=0)
    """How often beats heard on NATS are written, however many, deadlines looked at, and measurements weighed."""

    probe_every_s: float = Field(default=300, gt=0)
    """A round trip, jitter and loss of some seconds: 100 hosts cost a prober less than 1 % of a core. What was measured
    is believed less from ten minutes on, so rarer probes cost hosts their confidence."""

    upload_every_s: float = Field(default=3600, gt=0)
    """It takes a MiB of the host's line, which is busy with its players."""

    score_told_from: float = Field(default=5, gt=0)
    """Points by which a score must have moved to be told."""

    score_told_every_s: float = Field(default=10, gt=0)
    """A score that jumps with every beat is told this often per host."""

    database_connections: int = Field(default=8, ge=2)
    """More than this only queue inside PostgreSQL."""

    @model_validator(mode="after")
    def _suspect_comes_first(self) -> Self:
        if self.offline_after_s <= self.suspect_after_s:
            raise ValueError("offline_after_s must be longer than suspect_after_s")
        return self

    @property
    def patience(self) -> Patience:
        return Patience(
            suspect_after=timedelta(seconds=self.suspect_after_s),
            offline_after=timedelta(seconds=self.offline_after_s),
            cut_off_after=timedelta(seconds=self.cut_off_after_s),
            gateway_silent_after=timedelta(seconds=self.gateway_silent_after_s),
            slot_held_for=timedelta(seconds=self.slot_held_for_s),
        )
