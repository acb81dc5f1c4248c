"""Every knob of prober."""

from datetime import timedelta
from ipaddress import ip_address
from typing import Annotated

from chassis.settings import ServiceSettings, Words, shared
from pydantic import AfterValidator, Field
from pydantic_settings import SettingsConfigDict


def _addresses(words: tuple[str, ...]) -> tuple[str, ...]:
    for word in words:
        ip_address(word)
    return words


class Settings(ServiceSettings):
    """Read once, at the start."""

    model_config = SettingsConfigDict(env_prefix="PROBER_")

    at_once: int = Field(default=10, ge=1, le=100)
    """Probes side by side. A probe lasts a second and a half, mostly waiting: ten take less than a tenth of a core, and
    go through 1,500 hosts in five minutes."""

    look_every_s: float = Field(default=1.0, ge=0.05, le=60)
    """How often the registry is asked who is due: a newcomer is measured within two seconds."""

    addresses: Annotated[Words, AfterValidator(_addresses)] = ()
    """The addresses of this machine that probes come from; all but loopback's when none is named. Each one more is a
    socket and some packets for every probe."""

    stun_servers: Words = shared("STUN_SERVER", default=())
    """The first tells us our public address; none is needed by a prober whose own address is public."""

    @property
    def look_every(self) -> timedelta:
        return timedelta(seconds=self.look_every_s)
