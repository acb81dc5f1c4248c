"""How hosts stand against a zone."""

import pytest
from contracts.hosts import Rejection
from contracts.zones import ExplainZone, RankHosts, ZoneStatus
from zone_manager.comparison import Comparison
from zone_manager.errors import ZoneNotFoundError

from services.zone_manager.tests.examples import candidate, zone
from services.zone_manager.tests.fakes import RegistryInMemory, ZonesInMemory

REGISTRY = (
    candidate("poor", quality_score=20),
    candidate("fair", quality_score=60, confidence=0.5),
    candidate("good", quality_score=90, confidence=0.5),
    candidate("gone", Rejection.NOT_ONLINE, quality_score=99, confidence=1),
)


def comparison(*, p2p_allowed: bool = True) -> Comparison:
    zones = ZonesInMemory(zone("prontera", min_host_quality_score=40), zone("geffen", status=ZoneStatus.MAINTENANCE))
    return Comparison(zones, RegistryInMemory(*REGISTRY), p2p_allowed=p2p_allowed)


async def test_hosts_are_ranked_in_the_order_of_placement():
    page = await comparison().rank(RankHosts(zone_id="prontera"))
    assert [host.host_id for host in page.items] == ["good", "fair"]


async def test_a_ranking_can_ask_for_better_hosts_than_the_zone_does():
    page = await comparison().rank(RankHosts(zone_id="prontera", min_quality_score=80))
    assert [host.host_id for host in page.items] == ["good"]


async def test_a_ranking_can_be_short():
    page = await comparison().rank(RankHosts(zone_id="prontera", limit=1))
    assert [host.host_id for host in page.items] == ["good"]


async def test_hosts_of_an_unknown_zone_are_not_ranked():
    with pytest.raises(ZoneNotFoundError):
        await comparison().rank(RankHosts(zone_id="atlantis"))


async def test_an_explanation_names_the_chosen_the_able_and_the_rejected_with_their_codes():
    explained = await comparison().explain(ExplainZone(zone_id="prontera"))
    assert [(judged.host_id, judged.chosen, judged.rejections) for judged in explained.judgements] == [
        ("good", True, ()),
        ("fair", False, ()),
        ("poor", False, (Rejection.SCORE_TOO_LOW,)),
        ("gone", False, (Rejection.NOT_ONLINE,)),
    ]
    assert explained.rejected_counts == {}


async def test_an_explanation_names_a_hundred_and_counts_the_rest():
    registry = RegistryInMemory(*(candidate(f"host-{number}", Rejection.BEAT_STALE) for number in range(103)))
    explained = await Comparison(ZonesInMemory(zone()), registry, p2p_allowed=True).explain(
        ExplainZone(zone_id="prontera")
    )
    assert len(explained.judgements) == 100
    assert explained.rejected_counts == {Rejection.BEAT_STALE: 3}


async def test_an_explanation_counts_the_players_who_would_join():
    registry = RegistryInMemory(candidate("narrow", seats_taken=49))
    explained = await Comparison(ZonesInMemory(zone()), registry, p2p_allowed=True).explain(
        ExplainZone(zone_id="prontera", players=("a", "b"))
    )
    assert explained.judgements[0].rejections == (Rejection.HOST_FULL,)


@pytest.mark.parametrize("zone_id, p2p_allowed", [("geffen", True), ("prontera", False)])
async def test_where_no_host_may_be_placed_none_is_chosen(zone_id: str, p2p_allowed: bool):
    explained = await comparison(p2p_allowed=p2p_allowed).explain(ExplainZone(zone_id=zone_id))
    assert not any(judged.chosen for judged in explained.judgements)


@pytest.mark.parametrize("zone_id, p2p_allowed", [("geffen", True), ("prontera", False)])
async def test_where_no_host_may_be_placed_none_is_ranked(zone_id: str, p2p_allowed: bool):
    assert (await comparison(p2p_allowed=p2p_allowed).rank(RankHosts(zone_id=zone_id))).items == ()
