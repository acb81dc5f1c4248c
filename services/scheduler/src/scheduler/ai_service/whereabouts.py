"""Which of the played zones an NPC is in, by its map: pure. Several zones may have one map."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from scheduler.npc_feed.played import PlayedZone

Maps = Mapping[str, Collection[str]]


def maps_of(played: Iterable[PlayedZone]) -> Maps:
    """Give the played zones of each map; of a zone that was never announced the map is not known."""
    zones: defaultdict[str, list[str]] = defaultdict(list)
    for zone in played:
        if zone.map_name is not None:
            zones[_plain(zone.map_name)].append(zone.zone_id)
    return dict(zones)


def zones_at(maps: Maps, map_name: str) -> Collection[str]:
    return maps.get(_plain(map_name), ())


def _plain(map_name: str) -> str:
    """The game server's files are called prontera.gat, the map is prontera."""
    return map_name.removesuffix(".gat")
