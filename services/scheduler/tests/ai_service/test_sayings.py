"""What is said: changes, removals, and a part of the rest again."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime

import pytest
from contracts.npcs import NpcState
from scheduler.ai_service.sayings import Saying, Sayings
from scheduler.ai_service.whereabouts import maps_of, zones_at
from scheduler.npc_feed.played import PlayedZone


def names(sayings: Iterable[Saying]) -> list[tuple[str, str]]:
    return sorted((saying.zone_id, saying.npc_id) for saying in sayings)


def bodies(sayings: Iterable[Saying]) -> list[object]:
    return [json.loads(saying.body) for saying in sayings]


def guard(**fields: object) -> NpcState:
    return NpcState.model_validate({"npc_id": "guard", **fields})


def test_what_is_new_is_said_and_what_stays_is_not():
    sayings = Sayings()
    assert bodies(sayings.place(guard(x=1), ["a"])) == [{"npc_id": "guard", "x": 1.0}]
    assert sayings.place(guard(x=1), ["a"]) == []
    assert bodies(sayings.place(guard(x=2), ["a"])) == [{"npc_id": "guard", "x": 2.0}]


def test_another_time_alone_is_no_change():
    sayings = Sayings()
    sayings.place(guard(x=1, updated_at=datetime(2026, 1, 1, tzinfo=UTC)), ["a"])
    assert sayings.place(guard(x=1, updated_at=datetime(2026, 1, 2, tzinfo=UTC)), ["a"]) == []


def test_an_npc_is_in_every_zone_of_its_map():
    assert names(Sayings().place(guard(), ["a", "b"])) == [("a", "guard"), ("b", "guard")]


def test_an_npc_that_walks_to_another_map_is_removed_where_it_was():
    sayings = Sayings()
    sayings.place(guard(), ["a"])
    said = {saying.zone_id: json.loads(saying.body) for saying in sayings.place(guard(), ["b"])}
    assert said == {"a": {"npc_id": "guard", "removed": True}, "b": {"npc_id": "guard"}}


def test_an_npc_that_is_gone_is_removed_once():
    sayings = Sayings()
    sayings.place(guard(), ["a", "b"])
    assert names(sayings.gone("guard")) == [("a", "guard"), ("b", "guard")]
    assert sayings.gone("guard") == []
    assert len(sayings) == 0


def test_an_npc_that_is_nowhere_played_leaves_nothing_behind():
    sayings = Sayings()
    assert sayings.place(guard(), []) == []
    assert list(sayings.npc_ids) == []


def test_each_round_says_a_part_again_the_oldest_first_until_all_were_said():
    sayings = Sayings()
    for number in range(10):
        sayings.place(NpcState(npc_id=f"npc-{number}"), ["a"])
    rounds = [[saying.npc_id for saying in sayings.again(0.3)] for _ in range(4)]
    assert rounds[:3] == [[f"npc-{number}" for number in range(first, first + 3)] for first in (0, 3, 6)]
    assert rounds[3] == ["npc-9", "npc-0", "npc-1"]


def test_no_zone_falls_silent_however_small_the_part():
    sayings = Sayings()
    for zone in ("a", "b"):
        sayings.place(guard(), [zone, "c"])
    assert {saying.zone_id for saying in sayings.again(0.001)} == {"b", "c"}


@pytest.mark.parametrize("share", [1.0, 30.0])
def test_no_round_says_anything_twice(share: float):
    sayings = Sayings()
    for number in range(3):
        sayings.place(NpcState(npc_id=f"npc-{number}"), ["a"])
    assert len(list(sayings.again(share))) == 3


def test_of_zones_that_nobody_plays_nothing_is_kept_and_nothing_said():
    sayings = Sayings()
    sayings.place(guard(), ["a", "b"])
    sayings.keep_zones(["b"])
    assert names(sayings.again(1)) == [("b", "guard")]
    assert names(sayings.gone("guard")) == [("b", "guard")]


def test_what_somebody_else_tells_is_let_go_without_a_word():
    sayings = Sayings()
    sayings.place(guard(), ["a"])
    sayings.let_go("guard")
    assert list(sayings.again(1)) == []


def test_what_perhaps_nobody_heard_is_said_anew_and_what_is_gone_still_removed():
    sayings = Sayings()
    sayings.place(guard(x=1), ["a"])
    sayings.place(NpcState(npc_id="smith"), ["a"])
    sayings.doubt()
    assert names(sayings.place(guard(x=1), ["a"])) == [("a", "guard")]
    assert names(sayings.gone("smith")) == [("a", "smith")]


def test_several_zones_may_have_one_map_and_files_are_maps():
    played = [PlayedZone("a", "prontera", None), PlayedZone("b", "prontera.gat", None), PlayedZone("c", None, None)]
    maps = maps_of(played)
    assert zones_at(maps, "prontera.gat") == zones_at(maps, "prontera") == ["a", "b"]
    assert zones_at(maps, "geffen") == ()
