"""Old messages parse for ever: one golden JSON per message, never edited, only added to."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from contracts import frames, gateway, hosts, jobs, npcs, refusals, sessions, zones
from pydantic import BaseModel

GOLDENS = Path(__file__).parent / "goldens"

MODULES: tuple[ModuleType, ...] = (hosts, zones, sessions, gateway, frames, jobs, npcs, refusals)

ABSTRACT = {"Frame", "FrameIn", "FrameOut", "Machine", "Requirements", "Signal", "SignalOut"}
"""What others are built of; never sent by themselves. A Frame's bytes are one of the frames."""


def _messages() -> Iterator[type[BaseModel]]:
    """Yield each message class where it is defined, once."""
    for module in MODULES:
        for name, thing in sorted(vars(module).items()):
            if (
                isinstance(thing, type)
                and issubclass(thing, BaseModel)
                and thing.__module__ == module.__name__
                and name not in ABSTRACT
            ):
                yield thing


MESSAGES = list(_messages())


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.__name__)
def test_every_message_has_a_golden_that_still_parses_to_the_same_json(message: type[BaseModel]) -> None:
    golden = json.loads((GOLDENS / f"{message.__name__}.json").read_text())
    parsed = message.model_validate_json(json.dumps(golden))
    again = json.loads(parsed.model_dump_json())
    assert {name: again[name] for name in golden} == golden


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.__name__)
def test_a_field_of_a_newer_program_is_tolerated(message: type[BaseModel]) -> None:
    golden = json.loads((GOLDENS / f"{message.__name__}.json").read_text())
    message.model_validate_json(json.dumps({**golden, "of_next_year": [1, {"x": None}]}))


def test_no_golden_is_left_without_its_message() -> None:
    names = {message.__name__ for message in MESSAGES}
    assert {path.stem for path in GOLDENS.glob("*.json")} == names


def test_a_golden_names_every_field_of_its_message() -> None:
    for message in MESSAGES:
        golden = json.loads((GOLDENS / f"{message.__name__}.json").read_text())
        fields = {field.alias or name for name, field in message.model_fields.items()}
        assert fields <= golden.keys(), f"{message.__name__} lacks {fields - golden.keys()}"
