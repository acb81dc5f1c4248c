"""Use case: somebody wants to know how hosts stand against a zone; nothing is reserved."""

from contracts.hosts import HostPage
from contracts.zones import ExplainZone, Judgement, RankHosts, ZoneExplained

from zone_manager.assignment import Hosts, Zones
from zone_manager.placement import AbleHost, able, judgement, ranked
from zone_manager.zones import hosts_for, reason_against_hosts

EXPLAINED = 100


class Comparison:
    """Ranks and explains, by the rules that placement goes by."""

    def __init__(self, zones: Zones, hosts: Hosts, *, p2p_allowed: bool) -> None:
        self._zones = zones
        self._hosts = hosts
        self._p2p_allowed = p2p_allowed

    async def rank(self, question: RankHosts) -> HostPage:
        """List the hosts that would serve the zone, in the order of placement."""
        zone = await self._zones.get(question.zone_id)
        if reason_against_hosts(zone, p2p_allowed=self._p2p_allowed) is not None:
            return HostPage(items=())
        found = await self._hosts.find(
            hosts_for(zone, seats=1, limit=question.limit, min_quality_score=question.min_quality_score or 0)
        )
        return HostPage(items=tuple(able_host.candidate.host for able_host in ranked(zone, able(found.candidates))))

    async def explain(self, question: ExplainZone) -> ZoneExplained:
        """Judge the best hosts, and count the rest, as they stand for a session that begins with these players."""
        zone = await self._zones.get(question.zone_id)
        seats = max(1, len(question.players))
        found = await self._hosts.find(hosts_for(zone, seats=seats, limit=EXPLAINED, rejected=True))
        placeable = reason_against_hosts(zone, p2p_allowed=self._p2p_allowed) is None
        able_hosts = ranked(zone, able(found.candidates))
        judgements: list[Judgement] = [
            judgement(able_host, chosen=placeable and able_host is able_hosts[0]) for able_host in able_hosts
        ]
        judgements += (judgement(AbleHost(other), chosen=False) for other in found.candidates if other.rejections)
        return ZoneExplained(zone_id=zone.zone_id, judgements=tuple(judgements), rejected_counts=found.rejected_counts)
