"""Every knob of zone_manager."""

import json
from pathlib import Path
from typing import Annotated

from chassis.settings import ServiceSettings, shared
from contracts.identifiers import Identifier
from pydantic import BeforeValidator
from pydantic_settings import NoDecode, SettingsConfigDict


def _listed(value: object) -> object:
    """Read `prontera,geffen` as well as `["prontera", "geffen"]`; both are found in `.env` files."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return json.loads(value)
    return tuple(part.strip() for part in value.split(",") if part.strip())


class Settings(ServiceSettings):
    """Read once, at the start."""

    model_config = SettingsConfigDict(env_prefix="ZONE_MANAGER_")

    enable_p2p: bool = shared("ENABLE_P2P", default=True)
    """False: no host is placed anywhere, and every zone is left to the central server."""

    p2p_enabled_zones: Annotated[tuple[Identifier, ...], NoDecode, BeforeValidator(_listed)] = shared(
        "P2P_ENABLED_ZONES", default=()
    )
    """At the first start: the zones that hosts may serve, made if no seed describes them; empty means every seed."""

    seeds: Path = Path(__file__).with_name("seeds.yaml")
    """The zones of a new installation; the file explains itself."""
