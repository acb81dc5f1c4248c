"""The zones of a new installation, from a file that operators may edit."""

from collections.abc import Collection, Sequence
from pathlib import Path

import yaml
from contracts.zones import PutZone
from pydantic import TypeAdapter, ValidationError

_SEEDS = TypeAdapter(tuple[PutZone, ...])


class SeedsError(Exception):
    """The file of seeds can't be used; says which and why."""


def read_seeds(path: Path) -> tuple[PutZone, ...]:
    """Read the zones of `path`, a YAML list with the fields of `PutZone`."""
    try:
        return _SEEDS.validate_python(yaml.safe_load(path.read_text(encoding="utf-8")) or [])
    except OSError as error:
        raise SeedsError(f"The seeds {path} can't be read: {error.strerror}.") from error
    except (yaml.YAMLError, ValidationError) as error:
        raise SeedsError(f"The seeds {path} are malformed: {error}") from error


def chosen(seeds: Sequence[PutZone], p2p_enabled_zones: Collection[str]) -> list[PutZone]:
    """Let hosts serve the zones named, and no others; a zone named that no seed describes is made as plain as can be.

    No name at all leaves the seeds as they are.
    """
    if not p2p_enabled_zones:
        return list(seeds)
    known = {seed.zone_id for seed in seeds}
    return [
        *(seed.model_copy(update={"p2p_enabled": seed.zone_id in p2p_enabled_zones}) for seed in seeds),
        *(_plain(zone_id) for zone_id in dict.fromkeys(p2p_enabled_zones) if zone_id not in known),
    ]


def _plain(zone_id: str) -> PutZone:
    return PutZone(zone_id=zone_id, zone_name=zone_id, zone_display_name=zone_id, map_name=zone_id)
