"""What may leave: an allow-list of fields, whatever else an AI service says and however wrong it is."""

import json
from typing import Any

import pytest
from contracts.npcs import NpcRecord
from hypothesis import given
from hypothesis import strategies as st
from scheduler.ai_service.records import (
    OURS_BY_THEIRS,
    UnreadableError,
    environment_of_answer,
    ids_of_catalogue,
    npc_of_answer,
    npc_of_fields,
)

from services.scheduler.tests.ai_service.fake import SECRET_TEXTS, SECRETS

STATE = {"npc_id": "guard", "name": "Guard", "class": "soldier", "level": 10, "map": "prontera", "x": 1, "y": 2.5}
JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=5,
)


def test_an_answer_becomes_the_neutral_record_and_nothing_else():
    answer = {"npc_id": "guard", "state": {**STATE, **SECRETS}, "timestamp": "2026-01-01T12:00:00+00:00", **SECRETS}
    state, left_out = npc_of_answer("guard", answer)
    assert state.model_dump(mode="json", exclude_defaults=True) == {
        "npc_id": "guard",
        "name": "Guard",
        "npc_class": "soldier",
        "level": 10,
        "map": "prontera",
        "x": 1.0,
        "y": 2.5,
        "updated_at": "2026-01-01T12:00:00Z",
    }
    assert left_out == ()


def test_every_field_of_the_neutral_record_and_no_other_is_read():
    assert {*OURS_BY_THEIRS.values(), "npc_id"} == NpcRecord.model_fields.keys()


@given(st.dictionaries(st.sampled_from([*OURS_BY_THEIRS, *SECRETS, "urgent", "removed", "zone_id"]), JSON))
def test_whatever_the_fields_hold_a_record_comes_of_it_and_none_beside_those_named_is_set(fields: dict[str, Any]):
    state, _ = npc_of_fields("guard", fields)
    assert state.model_fields_set <= {*OURS_BY_THEIRS.values(), "npc_id"}


@pytest.mark.parametrize(
    "field, value",
    [
        ("level", "very"),
        ("x", "nan"),
        ("y", {"z": 1}),
        ("status", ["idle"]),
        ("name", "n" * 256),
        ("map", "\x00"),
        ("updated_at", "2026-01-01T12:00:00"),  # of which clock?
    ],
)
def test_a_field_that_is_wrong_is_left_out_and_named(field: str, value: object):
    state, left_out = npc_of_fields("guard", {**STATE, field: value})
    assert left_out == (OURS_BY_THEIRS[field],)
    assert getattr(state, OURS_BY_THEIRS[field]) is None
    assert state.npc_class == "soldier"


@pytest.mark.parametrize("value", [None, ""])
def test_an_empty_field_is_no_field(value: object):
    assert npc_of_fields("guard", {"name": value, "x": 1}).left_out == ()


def test_a_hash_of_redis_holds_texts():
    state, _ = npc_of_fields("guard", {"level": "10", "x": "1.5", "y": "-2", "map": "prontera"})
    assert (state.level, state.x, state.y) == (10, 1.5, -2)


@pytest.mark.parametrize("npc_id", ["", "a/b", "..", " guard", "n" * 129])
def test_an_id_that_is_none_makes_it_unreadable(npc_id: str):
    with pytest.raises(UnreadableError):
        npc_of_fields(npc_id, STATE)


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        "guard",
        {},
        {"state": None},
        {"state": [1]},
        {"npc_id": "other", "state": {}},
        {"state": {"npc_id": "other"}},
        {"state": {"npc_id": ["guard"]}},
    ],
)
def test_an_answer_of_another_form_or_about_another_npc_is_unreadable(answer: object):
    with pytest.raises(UnreadableError):
        npc_of_answer("guard", answer)


def test_of_the_environment_flat_values_of_four_names_leave():
    answer = {
        "weather": "rain",
        "time_of_day": {"hour": 3, **SECRETS},
        "season": None,
        "resource_availability": {"wood": 0.5, "iron": "scarce"},
        "timestamp": "now",
        **SECRETS,
    }
    environment = environment_of_answer(answer)
    assert environment.model_dump(exclude_none=True) == {
        "weather": "rain",
        "resource_availability": {"wood": 0.5, "iron": "scarce"},
    }
    assert not [text for text in SECRET_TEXTS if text in environment.model_dump_json()]


@pytest.mark.parametrize("answer", [None, [], 7])
def test_an_environment_of_another_form_is_unreadable(answer: object):
    with pytest.raises(UnreadableError):
        environment_of_answer(answer)


@pytest.mark.parametrize(
    "answer", [["guard", "smith"], {"npcs": [{"npc_id": "guard", **SECRETS}, {"npc_id": "smith"}]}]
)
def test_a_catalogue_is_a_list_of_ids_or_of_npcs(answer: object):
    assert ids_of_catalogue(answer) == {"guard", "smith"}


def test_what_is_no_id_is_left_out_of_a_catalogue():
    assert ids_of_catalogue(["guard", "a/b", None, 7, {"name": "x"}, ["y"]]) == {"guard"}


@pytest.mark.parametrize("answer", [None, {}, {"npcs": {}}, "guard"])
def test_a_catalogue_of_another_form_is_unreadable(answer: object):
    with pytest.raises(UnreadableError):
        ids_of_catalogue(answer)


def test_every_secret_of_the_fake_is_one_that_would_be_found():
    assert [text for text in SECRET_TEXTS if text in json.dumps(SECRETS)] == list(SECRET_TEXTS[:10])
