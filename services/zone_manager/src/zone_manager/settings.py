"""Every knob of zone_manager."""

from pathlib import Path

from chassis.settings import Listed, ServiceSettings, shared
from contracts.identifiers import Identifier
from pydantic_settings import SettingsConfigDict


class Settings(ServiceSettings):
    """Read once, at the start."""

    model_config = SettingsConfigDict(env_prefix="ZONE_MANAGER_")

    enable_p2p: bool = shared("ENABLE_P2P", default=True)
    """False: no host is placed anywhere, and every zone is left to the central server."""

    p2p_fallback_enabled: bool = shared("P2P_FALLBACK_ENABLED", default=True)
    """False: players whom no host can serve are never sent to the central server, whatever their zone says."""

    p2p_enabled_zones: Listed[Identifier] = shared("P2P_ENABLED_ZONES", default=())
    """At the first start: the zones that hosts may serve, made if no seed describes them; empty means every seed."""

    seeds: Path = Path(__file__).with_name("seeds.yaml")
    """The zones of a new installation; the file explains itself."""
