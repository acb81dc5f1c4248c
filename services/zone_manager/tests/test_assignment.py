"""A session gets a host."""

import asyncio
from asyncio import gather
from collections import Counter
from typing import Any

import pytest
from contracts.hosts import Rejection
from contracts.zones import Place, ZoneStatus
from testkit.eventually import eventually
from zone_manager.assignment import Assignment
from zone_manager.errors import (
    HostNotEligibleError,
    NoHostFreeError,
    SlotLostError,
    ZoneDisabledError,
    ZoneNotFoundError,
)

from services.zone_manager.tests.examples import candidate, zone
from services.zone_manager.tests.fakes import RegistryInMemory, ZonesInMemory


def assignment(registry: RegistryInMemory, *, p2p_allowed: bool = True) -> Assignment:
    zones = ZonesInMemory(zone("prontera"), zone("geffen", status=ZoneStatus.DISABLED))
    return Assignment(zones, registry, p2p_allowed=p2p_allowed)


def session(number: int = 1) -> str:
    return f"session-{number:016x}"


def place(number: int = 1, **fields: Any) -> Place:
    return Place.model_validate({"zone_id": "prontera", "session_id": session(number)} | fields)


def fill(registry: RegistryInMemory, host_id: str) -> None:
    registry.slots[host_id] = {session(number): 0 for number in range(100, 105)}


async def test_the_best_host_is_placed_and_the_answer_says_why():
    registry = RegistryInMemory(
        candidate("fair", quality_score=60, confidence=1), candidate("good", quality_score=90, confidence=1)
    )
    placement = await assignment(registry).place(place())
    assert placement.host.host_id == "good"
    assert placement.zone.zone_id == "prontera"
    assert [(judged.host_id, judged.chosen) for judged in placement.judgements] == [("good", True), ("fair", False)]
    assert placement.considered == 2
    assert registry.slots["good"] == {session(): 1}


async def test_the_answer_names_no_more_than_eight_hosts():
    registry = RegistryInMemory(*(candidate(f"host-{number:02}") for number in range(20)))
    placement = await assignment(registry).place(place())
    assert len(placement.judgements) == 8


async def test_players_who_join_at_once_need_seats_at_once():
    registry = RegistryInMemory(candidate("narrow", seats_taken=48, quality_score=90), candidate("wide"))
    placement = await assignment(registry).place(place(player_ids=["a", "b", "c"]))
    assert placement.host.host_id == "wide"
    assert registry.slots["wide"] == {session(): 3}


async def test_excluded_hosts_are_not_placed():
    registry = RegistryInMemory(candidate("lost", quality_score=90), candidate("other"))
    placement = await assignment(registry).place(place(exclude=["lost"]))
    assert placement.host.host_id == "other"


async def test_when_the_best_host_is_taken_meanwhile_the_next_one_is_placed():
    registry = RegistryInMemory(candidate("first", quality_score=90), candidate("second"))
    registry.after_find = lambda: fill(registry, "first")
    placement = await assignment(registry).place(place())
    assert placement.host.host_id == "second"
    assert [asked.host_id for asked in registry.reservations] == ["first", "second"]


async def test_when_the_best_host_is_deleted_meanwhile_the_next_one_is_placed():
    registry = RegistryInMemory(candidate("first", quality_score=90), candidate("second"))
    registry.after_find = lambda: registry.candidates.pop("first", None)
    assert (await assignment(registry).place(place())).host.host_id == "second"


async def test_a_zone_without_a_fit_host_is_refused_with_counts_and_words():
    registry = RegistryInMemory(
        candidate("a", Rejection.NOT_ONLINE), candidate("b", Rejection.NOT_ONLINE), candidate("c", slots_taken=5)
    )
    with pytest.raises(NoHostFreeError) as refused:
        await assignment(registry).place(place())
    refusal = refused.value.refusal
    assert refusal.detail == (
        "No host can serve prontera now; of those known, 2 not online, 1 without a free zone slot."
    )
    assert refusal.fields == {
        "zone_id": "prontera",
        "rejected_counts": {"not_online": 2, "no_zone_slot": 1},
        "fallback_endpoint": None,
    }


async def test_who_finds_no_host_is_told_where_to_play_meanwhile():
    zones = ZonesInMemory(zone(fallback_endpoint="central.example:6900"))
    with pytest.raises(NoHostFreeError) as refused:
        await Assignment(zones, RegistryInMemory(), p2p_allowed=True).place(place())
    assert refused.value.refusal.fields["fallback_endpoint"] == "central.example:6900"


@pytest.mark.parametrize("fallback_enabled, fallback_allowed", [(False, True), (True, False)])
async def test_nobody_is_sent_away_from_a_zone_that_does_not_fall_back(fallback_enabled: bool, fallback_allowed: bool):
    zones = ZonesInMemory(zone(fallback_enabled=fallback_enabled, fallback_endpoint="central.example:6900"))
    stern = Assignment(zones, RegistryInMemory(), p2p_allowed=True, fallback_allowed=fallback_allowed)
    with pytest.raises(NoHostFreeError) as refused:
        await stern.place(place())
    assert "fallback_endpoint" not in refused.value.refusal.fields


async def test_without_any_host_the_refusal_says_so():
    with pytest.raises(NoHostFreeError, match="none is registered"):
        await assignment(RegistryInMemory()).place(place())


async def test_a_host_that_was_asked_for_is_placed_though_another_is_better():
    registry = RegistryInMemory(candidate("mine", quality_score=55), candidate("better", quality_score=95))
    placement = await assignment(registry).place(place(host_id="mine"))
    assert placement.host.host_id == "mine"
    assert placement.considered == 1
    assert registry.slots["mine"] == {session(): 0}


async def test_a_host_that_was_asked_for_and_is_not_fit_is_refused_with_its_rejections():
    registry = RegistryInMemory(candidate("mine", Rejection.DRAINING, slots_taken=5), candidate("better"))
    with pytest.raises(HostNotEligibleError) as refused:
        await assignment(registry).place(place(host_id="mine"))
    assert refused.value.refusal.detail == (
        "Host mine cannot serve prontera now: it is draining; 5 of its 5 zone slots are taken."
    )
    assert refused.value.refusal.fields == {"host_id": "mine", "rejections": ["draining", "no_zone_slot"]}
    assert registry.reservations == []


async def test_a_host_that_was_asked_for_and_is_lost_meanwhile_is_refused_as_the_registry_says():
    registry = RegistryInMemory(candidate("mine"))
    registry.after_find = lambda: fill(registry, "mine")
    with pytest.raises(SlotLostError, match="The host has no room"):
        await assignment(registry).place(place(host_id="mine"))


@pytest.mark.parametrize("fields", [{}, {"host_id": "host-12345"}])
async def test_nothing_is_placed_in_a_zone_that_is_closed_to_hosts(fields: dict[str, Any]):
    registry = RegistryInMemory(candidate())
    with pytest.raises(ZoneDisabledError, match="No host is placed in geffen: the zone is disabled"):
        await assignment(registry).place(place(zone_id="geffen", **fields))
    assert registry.questions == []


@pytest.mark.parametrize("fields", [{}, {"host_id": "host-12345"}])
async def test_nothing_is_placed_anywhere_when_p2p_is_switched_off(fields: dict[str, Any]):
    with pytest.raises(ZoneDisabledError, match="ENABLE_P2P"):
        await assignment(RegistryInMemory(candidate()), p2p_allowed=False).place(place(**fields))


async def test_nothing_is_placed_in_a_zone_that_is_not_there():
    with pytest.raises(ZoneNotFoundError):
        await assignment(RegistryInMemory(candidate())).place(place(zone_id="atlantis"))


async def test_placements_at_once_spread_over_equal_hosts_and_ask_nobody_in_vain():
    registry = RegistryInMemory(*(candidate(f"host-{number}") for number in range(10)))
    placing = assignment(registry)
    placements = await gather(*(placing.place(place(number)) for number in range(50)))
    assert Counter(placement.host.host_id for placement in placements) == {f"host-{n}": 5 for n in range(10)}
    assert len(registry.reservations) == 50


async def test_placements_at_once_fill_the_best_host_and_then_the_next():
    registry = RegistryInMemory(candidate("fair", quality_score=60), candidate("good", quality_score=90, max_zones=3))
    placing = assignment(registry)
    placements = await gather(*(placing.place(place(number)) for number in range(5)))
    assert Counter(placement.host.host_id for placement in placements) == {"good": 3, "fair": 2}
    assert len(registry.reservations) == 5


async def test_hosts_are_never_overfilled_and_every_slot_is_found():
    registry = RegistryInMemory(*(candidate(f"host-{number}", max_zones=2) for number in range(20)))
    placing = [assignment(registry), assignment(registry)]
    outcomes = await gather(*(placing[number % 2].place(place(number)) for number in range(60)), return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, NoHostFreeError)]
    assert len(refused) == 20
    assert {host_id: len(held) for host_id, held in registry.slots.items()} == {f"host-{n}": 2 for n in range(20)}


async def test_placements_at_once_share_one_look_at_zone_and_hosts():
    registry = RegistryInMemory(*(candidate(f"host-{number}", max_zones=50) for number in range(10)))
    registry.answers_find.clear()
    placing = assignment(registry)
    first = asyncio.create_task(placing.place(place(0)))
    await eventually(lambda: registry.questions)
    others = [asyncio.create_task(placing.place(place(number))) for number in range(1, 31)]
    await asyncio.sleep(0)
    registry.answers_find.set()
    await gather(first, *others)
    assert [question.limit for question in registry.questions] == [8, 60]
    assert len(registry.reservations) == 31
