"""Old messages parse for ever: one golden JSON per message, never edited, only added to."""

import json
import pkgutil

import contracts
import pytest
from contracts.catalogue import GOLDENS, MODULES, golden, messages
from pydantic import BaseModel

WITHOUT_MESSAGES = {"catalogue", "closing", "credentials", "grants", "identifiers", "streams", "subjects", "values"}

MESSAGES = list(messages().values())


def test_the_catalogue_leaves_no_module_out() -> None:
    named = {module.__name__.removeprefix("contracts.") for module in MODULES}
    there = {module.name for module in pkgutil.iter_modules(contracts.__path__)}
    assert named == there - WITHOUT_MESSAGES


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.__name__)
def test_every_message_has_a_golden_that_still_parses_to_the_same_json(message: type[BaseModel]) -> None:
    wire = json.loads(golden(message))
    parsed = message.model_validate_json(json.dumps(wire))
    again = json.loads(parsed.model_dump_json())
    assert {name: again[name] for name in wire} == wire


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.__name__)
def test_a_field_of_a_newer_program_is_tolerated(message: type[BaseModel]) -> None:
    wire = json.loads(golden(message))
    message.model_validate_json(json.dumps({**wire, "of_next_year": [1, {"x": None}]}))


def test_no_golden_is_left_without_its_message() -> None:
    names = {message.__name__ for message in MESSAGES}
    assert {path.name.removesuffix(".json") for path in GOLDENS.iterdir()} == names


def test_a_golden_names_every_field_of_its_message() -> None:
    for message in MESSAGES:
        wire = json.loads(golden(message))
        fields = {field.alias or name for name, field in message.model_fields.items()}
        assert fields <= wire.keys(), f"{message.__name__} lacks {fields - wire.keys()}"
