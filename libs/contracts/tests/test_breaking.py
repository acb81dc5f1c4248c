"""The check of contracts itself: what it lets through, what it stops, and what it says to whom."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from libs.contracts.tests.breaking import breaks
from libs.contracts.tests.narrowing import narrows
from libs.contracts.tests.publishing import as_text, kept, published

Json = dict[str, Any]

TEXT, WHOLE, FRACTION, NULL = {"type": "string"}, {"type": "integer"}, {"type": "number"}, {"type": "null"}

BEFORE: Json = {
    "requests": {
        "p2p.cats.find": {
            "question": "FindCats",
            "answer": "CatsFound",
            "asked_by": ["game", "signaling_gateway"],
            "answered_by": ["cattery"],
        }
    },
    "subjects": {
        "p2p.events.cats.{cat_id}.fed": {"body": "CatFed", "told_by": ["cattery"], "heard_by": ["scheduler"]},
    },
    "frames": {"Stroke": {"told_by": ["players"], "heard_by": ["signaling_gateway"]}},
    "messages": {
        "FindCats": {
            "required": ["house"],
            "fields": {"house": TEXT, "colour": {"anyOf": [TEXT, NULL]}, "limit": WHOLE | {"maximum": 100}},
        },
        "CatsFound": {"required": ["items"], "fields": {"items": {"type": "array", "items": {"$ref": "Cat"}}}},
        "Cat": {
            "required": ["name", "mood"],
            "fields": {"name": TEXT, "mood": TEXT | {"enum": ["idle", "hungry"]}, "age": WHOLE},
        },
        "CatFed": {"required": ["cat"], "fields": {"cat": {"$ref": "Cat"}}},
        "Stroke": {"required": ["type"], "fields": {"type": TEXT | {"const": "stroke"}}},
    },
}


FIND = BEFORE["messages"]["FindCats"]["fields"]


def found(change: Callable[[Json], Any]) -> list[str]:
    now = copy.deepcopy(BEFORE)
    change(now)
    return [str(broken) for broken in breaks(BEFORE, now)]


def fields(state: Json, message: str) -> Json:
    about: Json = state["messages"][message]["fields"]
    return about


def required(state: Json, message: str) -> list[str]:
    names: list[str] = state["messages"][message]["required"]
    return names


@pytest.mark.parametrize(
    "change",
    [
        lambda now: None,
        lambda now: fields(now, "FindCats").update(age=WHOLE),
        lambda now: fields(now, "Cat").update(weight={"anyOf": [FRACTION, NULL]}),
        lambda now: fields(now, "FindCats").update(limit=WHOLE | {"maximum": 1000}),
        lambda now: fields(now, "FindCats").update(limit=WHOLE),
        lambda now: now["messages"].update(Purr={"required": ["loud"], "fields": {"loud": TEXT}}),
        lambda now: now["requests"].update({"p2p.cats.feed": BEFORE["requests"]["p2p.cats.find"]}),
        lambda now: now["subjects"].update({"p2p.events.cats.{cat_id}.slept": {"body": "CatFed"}}),
        lambda now: now["frames"].update(Purr={"told_by": ["players"], "heard_by": ["signaling_gateway"]}),
        lambda now: now["requests"]["p2p.cats.find"]["asked_by"].append("operator"),
    ],
)
def test_what_only_comes_beside_breaks_nothing(change: Callable[[Json], Any]) -> None:
    assert found(change) == []


@pytest.mark.parametrize(
    "change, what, whom, instead",
    [
        (
            lambda now: fields(now, "FindCats").pop("colour"),
            "FindCats.colour is gone.",
            "cattery, who miss what it said; REST clients, game, signaling_gateway, whose value is not heard any more.",
            "Leave colour where it is",
        ),
        (
            lambda now: fields(now, "Cat").update(title=fields(now, "Cat").pop("name")),
            "Cat.name is gone; title looks like it under another name.",
            "REST clients, game, scheduler, signaling_gateway, who refuse it without the field",
            "comes beside it, optional",
        ),
        (
            lambda now: required(now, "FindCats").append("colour"),
            "FindCats.colour is required now.",
            "REST clients, game, signaling_gateway of before, who may leave it out and are refused.",
            "Leave colour optional",
        ),
        (
            lambda now: now["messages"].update(
                FindCats={"required": ["age", "house"], "fields": FIND | {"age": WHOLE}}
            ),
            "FindCats.age is new and required.",
            "who do not tell it and are refused",
            "Give age a default",
        ),
        (
            lambda now: fields(now, "FindCats").update(colour=TEXT),
            "FindCats.colour is narrower: no null.",
            "REST clients, game, signaling_gateway of before, whose values are refused.",
            "publish what is new beside it",
        ),
        (
            lambda now: fields(now, "FindCats").update(limit=WHOLE | {"maximum": 10}),
            "FindCats.limit is narrower: maximum 10 rather than 100.",
            "whose values are refused",
            "publish what is new beside it",
        ),
        (
            lambda now: required(now, "Cat").remove("name"),
            "Cat.name may be absent now.",
            "REST clients, game, scheduler, signaling_gateway of before, who refuse it without the field.",
            "Always tell name",
        ),
        (
            lambda now: fields(now, "Cat").update(mood=TEXT | {"enum": ["idle", "hungry", "angry"]}),
            "Cat.mood is wider: no angry.",
            "who refuse what they do not know",
            "publish what is new beside it",
        ),
        (
            lambda now: now["requests"].clear(),
            "The request p2p.cats.find is gone.",
            "REST clients, game, signaling_gateway: nobody answers any more.",
            "Go on answering p2p.cats.find",
        ),
        (
            lambda now: now["requests"]["p2p.cats.find"].update(answer="CatFed"),
            "The answer of p2p.cats.find is CatFed rather than CatsFound.",
            "REST clients, game, signaling_gateway: what comes is not what is expected.",
            "another subject beside it",
        ),
        (
            lambda now: now["subjects"].clear(),
            "The subject p2p.events.cats.{cat_id}.fed is gone.",
            "scheduler, who hear nothing there; cattery, whom nobody hears.",
            "Go on telling p2p.events.cats.{cat_id}.fed",
        ),
        (
            lambda now: now["subjects"]["p2p.events.cats.{cat_id}.fed"].update(body="Cat"),
            "On p2p.events.cats.{cat_id}.fed there is Cat rather than CatFed.",
            "scheduler: what comes is not what is expected.",
            "another subject beside it",
        ),
        (
            lambda now: now["frames"].clear(),
            "The frame Stroke is in no dialect any more.",
            "players and signaling_gateway: what one tells the other does not know.",
            "Leave it in its dialect",
        ),
        (
            lambda now: now["messages"].pop("Stroke"),
            "The message Stroke is gone.",
            "/schemas/Stroke.json",
            "Leave it published.",
        ),
    ],
)
def test_what_breaks_is_told_with_whom_it_breaks_and_what_to_do(
    change: Callable[[Json], Any], what: str, whom: str, instead: str
) -> None:
    (told,) = found(change)

    assert told.startswith(f"{what}\n  breaks: ")
    assert whom in told
    assert instead in told.split("\n  instead: ")[1]


CODES = TEXT | {"list": "Code"}


@pytest.mark.parametrize(
    "before, now, why",
    [
        (WHOLE, FRACTION, ""),
        (FRACTION, WHOLE, "integer rather than number"),
        ({"anyOf": [TEXT, NULL]}, {"anyOf": [TEXT | {"maxLength": 9}, NULL]}, "maxLength 9 rather than none"),
        (TEXT, {}, ""),
        ({}, TEXT, "string rather than anything"),
        (TEXT, {"anyOf": [TEXT, NULL]}, ""),
        ({"anyOf": [TEXT, WHOLE]}, {"anyOf": [TEXT, NULL]}, "no integer"),
        (TEXT, TEXT | {"minLength": 1}, "minLength 1 rather than none"),
        (TEXT | {"minLength": 2}, TEXT | {"minLength": 1}, ""),
        (TEXT | {"maxLength": 9}, TEXT, ""),
        (TEXT, TEXT | {"const": "a"}, "only a"),
        (TEXT | {"const": "a"}, TEXT | {"enum": ["a", "b"]}, ""),
        (TEXT | {"enum": ["a", "b"]}, TEXT | {"const": "a"}, "no b"),
        (TEXT, TEXT | {"pattern": "^a"}, "another pattern"),
        (TEXT | {"format": "date-time"}, TEXT, ""),
        (
            {"type": "array", "items": FRACTION},
            {"type": "array", "items": WHOLE},
            "in its items, integer rather than number",
        ),
        ({"type": "array"}, {"type": "array", "items": TEXT}, "in its items, string rather than anything"),
        ({"$ref": "Cat"}, {"$ref": "Dog"}, "Dog rather than Cat"),
        ({"$ref": "Cat"}, TEXT, "string rather than Cat"),
        (CODES | {"enum": ["a", "b"]}, CODES | {"enum": ["a"]}, ""),
    ],
)
def test_a_schema_is_narrower_where_it_refuses_what_was_taken(before: Json, now: Json, why: str) -> None:
    assert narrows(before, now) == why


def test_how_long_or_large_is_no_matter_to_who_only_hears_it() -> None:
    assert narrows(TEXT, TEXT | {"maxLength": 9}, bounds=False) == ""
    assert narrows(TEXT, WHOLE | {"maximum": 9}, bounds=False) == "integer rather than string"


def test_no_field_of_what_is_published_goes_unmissed() -> None:
    before = kept()
    now = copy.deepcopy(before)
    for message in now["messages"].values():
        message["fields"] = {}
    gone = [broken.what.split(" is gone")[0] for broken in breaks(before, now)]

    named = (f"{name}.{field}" for name, message in before["messages"].items() for field in message["fields"])
    assert sorted(gone) == sorted(named)


def test_what_is_drawn_up_is_read_as_it_was() -> None:
    assert json.loads(as_text(published())) == published()
