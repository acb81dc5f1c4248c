"""What messages of the feed tell of a zone."""

import json
from datetime import UTC, datetime, timedelta
from itertools import count

import orjson
import pytest
from contracts.npcs import Environment, NpcFeed, NpcState
from hypothesis import given
from hypothesis import strategies as st
from scheduler.npc_feed.cadence import first_number, turn
from scheduler.npc_feed.composition import MESSAGE_BYTES, UnusableStateError, ZoneComposition

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)

SECRETS = {"information_items": ["the key is under the mat"], "personality": {"greed": 9}, "agent_id": "agent-7"}


def zone() -> ZoneComposition:
    return ZoneComposition("prontera", "prontera.gat")


def told(composition: ZoneComposition, *, full: bool = False, start: int = 1) -> list[NpcFeed]:
    numbers = count(start)
    bodies = [m.body for m in composition.compose(lambda: next(numbers), 0.0, NOON, full=full, stale=False)]
    assert all(len(body) < 64 * 1024 for body in bodies)
    return [NpcFeed.model_validate_json(body) for body in bodies]


def test_what_players_may_not_know_is_not_told():
    composition = zone()
    composition.hear(NpcState.model_validate({"npc_id": "guard", "x": 1, **SECRETS}), 0.0)
    (message,) = composition.compose(lambda: 1, 0.0, NOON, full=True, stale=False)
    for secret in (*SECRETS, "mat", "greed", "agent-7", "urgent"):
        assert secret.encode() not in message.body


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"npc_id": "another"}, "those of the subject"),
        ({"npc_id": "guard", "zone_id": "geffen"}, "those of the subject"),
        ({"npc_id": "guard", "map": "geffen"}, "on map geffen"),
        ({"npc_id": "guard", "level": 10**400}, "level must be"),
    ],
)
def test_a_word_that_contradicts_its_subject_or_cannot_be_passed_on_is_unusable(state: dict[str, str], reason: str):
    with pytest.raises(UnusableStateError, match=reason):
        zone().check("guard", NpcState.model_validate(state))


def test_a_map_is_the_zones_with_and_without_its_suffix():
    zone().check("guard", NpcState(npc_id="guard", map="prontera"))


def test_an_older_word_changes_nothing():
    composition = zone()
    composition.hear(NpcState(npc_id="guard", x=2, updated_at=NOON), 0.0)
    composition.hear(NpcState(npc_id="guard", x=1, updated_at=NOON - timedelta(seconds=1)), 1.0)
    (message,) = told(composition)
    assert message.npcs[0].x == 2


def test_what_was_said_live_wins_over_what_is_recalled():
    composition = zone()
    composition.hear(NpcState(npc_id="guard", x=2), 0.0)
    composition.recall(NpcState(npc_id="guard", x=1), 1.0)
    (message,) = told(composition)
    assert message.npcs[0].x == 2


def test_an_npc_unheard_for_long_is_removed():
    composition = zone()
    composition.hear(NpcState(npc_id="guard"), 0.0)
    told(composition)
    composition.forget_unheard(1.0)
    (message,) = told(composition)
    assert message.removed == ("guard",)


def test_what_is_too_much_for_one_message_goes_on_in_the_next_numbers():
    composition = zone()
    for n in range(1000):
        composition.hear(NpcState(npc_id=f"npc-{n}", name="x" * 100), 0.0)
    first, *others = told(composition, full=True)
    assert first.full
    assert others
    assert not any(message.full for message in others)
    assert [m.seq for m in (first, *others)] == list(range(1, len(others) + 2))
    assert sum(len(m.npcs) for m in (first, *others)) == 1000
    assert MESSAGE_BYTES < 64 * 1024


def test_the_departure_of_thousands_goes_on_in_the_next_numbers_too():
    composition = zone()
    for n in range(4000):
        composition.hear(NpcState(npc_id=f"npc-{n}-{'é' * 25}"), 0.0)
    told(composition, full=True)
    composition.forget_unheard(1.0)
    composition.hear(NpcState(npc_id="guard"), 2.0)
    messages = told(composition)
    assert len(messages) > 1
    assert sum(len(message.removed) for message in messages) == 4000
    assert [npc.npc_id for message in messages for npc in message.npcs] == ["guard"]


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        (Environment.model_validate({"moons": "m" * 8 * 1024}), "8192 bytes"),
        (Environment.model_validate({f"moon-{n}": "new" for n in range(1000)}), "8192 bytes"),
    ],
)
def test_an_environment_that_no_message_could_carry_is_unusable(environment: Environment, reason: str):
    composition = zone()
    composition.hear_environment(Environment(weather="rain"), 0.0)
    with pytest.raises(UnusableStateError, match=reason):
        composition.hear_environment(environment, 1.0)
    (message,) = told(composition)
    assert message.environment == Environment(weather="rain"), "what is known stays"


def test_whatever_is_told_can_be_read_by_all_on_the_way():
    composition = zone()
    for state in ({"level": 2**53, "x": 1e308, "name": "\U0001f600" * 255}, {"level": -(2**53), "y": -1e-300}):
        said = NpcState.model_validate({"npc_id": f"npc-{state['level']}", **state})
        composition.check(said.npc_id, said)
        composition.hear(said, 0.0)
    moons = "[" * 32 + "]" * 32  # as deep as it may be
    composition.hear_environment(Environment.model_validate_json(f'{{"moons": {moons}}}'), 0.0)
    for message in composition.compose(lambda: 1, 0.0, NOON, full=True, stale=False):
        assert orjson.loads(message.body)["npcs"]
        assert json.loads(message.body)["npcs"]
        assert NpcFeed.model_validate_json(message.body).npcs


def test_everything_is_told_again_after_a_while():
    composition = zone()
    assert composition.wants_full(0.0, 60.0)
    told(composition, full=True)
    assert not composition.wants_full(59.9, 60.0)
    assert composition.wants_full(60.0, 60.0)


def test_a_zone_the_ai_world_never_spoke_of_is_not_stale():
    composition = zone()
    assert not composition.is_stale(100.0, 10.0)
    composition.hear_environment(Environment(weather="rain"), 0.0)
    assert not composition.is_stale(10.0, 10.0)
    assert composition.is_stale(10.1, 10.0)


ACTS = st.one_of(
    st.tuples(st.just("hear"), st.integers(0, 5), st.integers(0, 3)),
    st.tuples(st.just("remove"), st.integers(0, 5), st.just(0)),
    st.tuples(st.just("tell"), st.booleans(), st.just(0)),
)


@given(st.lists(ACTS, max_size=60))
def test_whoever_folds_the_messages_knows_what_the_composer_knows(acts: list[tuple[str, int, int]]):
    composition, numbers = zone(), count(1)
    said: dict[str, float] = {}
    folded: dict[str, float | None] = {}

    def tell(*, full: bool) -> None:
        for told in composition.compose(lambda: next(numbers), 0.0, NOON, full=full, stale=False):
            message = NpcFeed.model_validate_json(told.body)
            if message.full:
                folded.clear()
            folded.update((npc.npc_id, npc.x) for npc in message.npcs)
            for npc_id in message.removed:
                folded.pop(npc_id, None)

    for act, which, x in acts:
        npc_id = f"npc-{which}"
        if act == "hear":
            said[npc_id] = x
            composition.hear(NpcState(npc_id=npc_id, x=x), 0.0)
        elif act == "remove":
            said.pop(npc_id, None)
            composition.hear(NpcState(npc_id=npc_id, removed=True), 0.0)
        else:
            tell(full=bool(which))
    tell(full=False)
    assert folded == said


def test_a_later_leaders_numbers_are_greater_and_javascript_counts_them():
    assert first_number(8) > first_number(7) + 1_000_000
    assert first_number(2**32) < 2**53


def test_zones_of_one_interval_do_not_come_at_once():
    due = [
        sum(turn(f"zone-{n}", 5.0, t / 10 + 0.1) != turn(f"zone-{n}", 5.0, t / 10) for n in range(500))
        for t in range(50)
    ]
    assert sum(due) == 500
    assert max(due) < 30
