"""What an AI service says, made what may leave for a player's machine: an allow-list, pure.

Nothing but the fields that are named here is ever read, so what the service adds tomorrow stays with it too.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from contracts.npcs import Environment, NpcState
from contracts.values import Text
from pydantic import BaseModel, ConfigDict, ValidationError

OURS_BY_THEIRS = {
    "name": "name",
    "class": "npc_class",
    "level": "level",
    "map": "map",
    "x": "x",
    "y": "y",
    "status": "status",
    "updated_at": "updated_at",
}
"""The service's names of what a player's machine may know of an NPC, and ours."""

Scalar = Text | float | bool


class UnreadableError(Exception):
    """What the AI service said is of another form than it promises; the text says how, and nothing of the content."""


class Reading(NamedTuple):
    """An NPC, and the fields that were not what they should be and are left out of it."""

    state: NpcState
    left_out: tuple[str, ...] = ()


class _Environment(BaseModel):
    """Flat values alone: of a tree nobody knows what grows in it."""

    model_config = ConfigDict(allow_inf_nan=False)

    weather: Scalar | None = None
    time_of_day: Scalar | None = None
    season: Scalar | None = None
    resource_availability: Scalar | dict[Text, Scalar] | None = None


def npc_of_fields(npc_id: str, fields: Mapping[str, object]) -> Reading:
    """Read an NPC; a field that is wrong or empty is left out, an id that is none makes it unreadable."""
    given: dict[str, Any] = {
        ours: fields[theirs] for theirs, ours in OURS_BY_THEIRS.items() if fields.get(theirs) not in (None, "")
    }
    try:
        return Reading(NpcState(npc_id=npc_id, **given))
    except ValidationError as error:
        wrong = _wrong(error)
    if "npc_id" in wrong:
        raise UnreadableError("npc_id is no identifier")
    return Reading(
        NpcState(npc_id=npc_id, **{name: value for name, value in given.items() if name not in wrong}), wrong
    )


def npc_of_answer(npc_id: str, answer: object) -> Reading:
    """Read the answer to `GET /ai/npc/{npc_id}/state`."""
    if not isinstance(answer, dict) or not isinstance(answer.get("state"), dict):
        raise UnreadableError("an object with a state was expected")
    state = answer["state"]
    if answer.get("npc_id", npc_id) != npc_id or state.get("npc_id", npc_id) != npc_id:
        raise UnreadableError("the answer is about another NPC")
    return npc_of_fields(npc_id, {"updated_at": answer.get("timestamp"), **state})


def environment_of_answer(answer: object) -> Environment:
    """Read the answer to `GET /ai/world/environment/current`."""
    if not isinstance(answer, dict):
        raise UnreadableError("an object was expected")
    try:
        read = _Environment.model_validate(answer)
    except ValidationError as error:
        wrong = _wrong(error)
        read = _Environment.model_validate({name: value for name, value in answer.items() if name not in wrong})
    return Environment.model_validate(read.model_dump(exclude_none=True))


def ids_of_catalogue(answer: object) -> frozenset[str]:
    """Read the ids out of an answer to the predecessor's `GET /api/world/zones/{zone}/npcs`, a list or in one."""
    listed = answer.get("npcs") if isinstance(answer, dict) else answer
    if not isinstance(listed, list):
        raise UnreadableError("a list of NPCs was expected")
    named = (entry.get("npc_id") if isinstance(entry, dict) else entry for entry in listed)
    return frozenset(npc_id for npc_id in named if isinstance(npc_id, str) and _is_identifier(npc_id))


def _is_identifier(npc_id: str) -> bool:
    try:
        npc_of_fields(npc_id, {})
    except UnreadableError:
        return False
    return True


def _wrong(error: ValidationError) -> tuple[str, ...]:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return tuple(sorted({str(each["loc"][0]) for each in found}))
