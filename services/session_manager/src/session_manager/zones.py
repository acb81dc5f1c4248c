"""Asking zone_manager: where a zone's next session is to be, and how many it may hold."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from chassis.bus import Bus
from chassis.requests import call
from contracts.identifiers import HostId, PeerId, SessionId, ZoneId
from contracts.sessions import Grounds
from contracts.zones import GET_ZONE, PLACE, RANK_HOSTS, NameZone, RankHosts
from contracts.zones import Place as PlaceSession

from session_manager.policies import policy_of
from session_manager.sessions import PlacedHost


class Zones(Protocol):
    """What we ask of whoever keeps the zones."""

    async def place(
        self,
        zone_id: ZoneId,
        session_id: SessionId,
        player_ids: Sequence[PeerId],
        host_id: HostId | None,
        exclude: Sequence[HostId] = (),
    ) -> PlacedHost: ...

    async def able_hosts(self, zone_id: ZoneId) -> list[HostId]: ...

    async def max_players(self, zone_id: ZoneId) -> int: ...


class ZoneManager:
    """zone_manager, over NATS; its refusals pass through to whoever asked us."""

    def __init__(self, bus: Bus, within: timedelta) -> None:
        self._bus = bus
        self._within = within

    async def place(
        self,
        zone_id: ZoneId,
        session_id: SessionId,
        player_ids: Sequence[PeerId],
        host_id: HostId | None,
        exclude: Sequence[HostId] = (),
    ) -> PlacedHost:
        question = PlaceSession(
            zone_id=zone_id,
            session_id=session_id,
            player_ids=tuple(player_ids),
            host_id=host_id,
            exclude=tuple(exclude),
        )
        placement = await call(self._bus, PLACE, question, deadline=self._within)
        return PlacedHost(
            zone_id=zone_id,
            zone_max_players=placement.zone.max_players,
            policy=policy_of(placement.zone),
            host_id=HostId(placement.host.host_id),
            host_peer_id=PeerId(placement.host.peer_id),
            host_max_players=placement.host.max_players,
            host_number=placement.host.id,
            grounds=Grounds(judgements=placement.judgements, considered=placement.considered).model_dump_json(),
        )

    async def able_hosts(self, zone_id: ZoneId) -> list[HostId]:
        """The hosts that would serve the zone now, best first."""
        page = await call(self._bus, RANK_HOSTS, RankHosts(zone_id=zone_id), deadline=self._within)
        return [HostId(host.host_id) for host in page.items]

    async def max_players(self, zone_id: ZoneId) -> int:
        zone = await call(self._bus, GET_ZONE, NameZone(zone_id=zone_id), deadline=self._within)
        return zone.max_players
