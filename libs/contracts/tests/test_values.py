"""Free-form JSON is small and shallow, wherever it is taken."""

import json
from typing import Any

import pytest
from contracts.frames import Answer, IceCandidate, NpcEventFrame, Offer, Ping
from contracts.hosts import ChangeHost, Host, RegisterHost
from contracts.npcs import Environment
from contracts.values import MAX_JSON_DEPTH
from pydantic import BaseModel, ValidationError

TAKING = [
    (RegisterHost, {"host_id": "h", "player_id": "p", "player_name": "n"}, "metadata"),
    (RegisterHost, {"host_id": "h", "player_id": "p", "player_name": "n"}, "ice_servers"),
    (ChangeHost, {"host_id": "h"}, "metadata"),
    (Environment, {}, "weather"),
    (Environment, {}, "of another release"),
    (NpcEventFrame, {"zone_id": "z", "npc_id": "n", "event": "e"}, "data"),
    (Offer, {"to": "bob"}, "sdp"),
    (Answer, {"to": "bob"}, "sdp"),
    (IceCandidate, {"to": "bob"}, "candidate"),
    (Ping, {}, "id"),
]


def lists(depth: int) -> Any:
    return json.loads("[" * depth + "]" * depth)


def objects(depth: int) -> Any:
    return json.loads('{"a":' * depth + "1" + "}" * depth)


@pytest.mark.parametrize(("model", "others", "field"), TAKING)
@pytest.mark.parametrize("nested", [lists, objects])
def test_json_of_free_shape_has_so_many_levels_and_no_more(
    model: type[BaseModel], others: dict[str, Any], field: str, nested: Any
) -> None:
    model.model_validate_json(json.dumps({**others, field: nested(MAX_JSON_DEPTH)}))
    for depth in (MAX_JSON_DEPTH + 1, 150):
        with pytest.raises(ValidationError):
            model.model_validate_json(json.dumps({**others, field: nested(depth)}))


@pytest.mark.parametrize(("model", "others", "field"), TAKING)
def test_json_of_free_shape_holds_numbers_that_every_reader_takes(
    model: type[BaseModel], others: dict[str, Any], field: str
) -> None:
    for number in ("1.7e308", "-9223372036854775808", "18446744073709551615", "-0.0", "1e-400", "true"):
        model.model_validate_json(_with(others, field, number))
    for number in ("1e400", "NaN", "-Infinity", "18446744073709551616", "-9223372036854775809", "1" + "0" * 400):
        with pytest.raises(ValidationError):
            model.model_validate_json(_with(others, field, number))


def _with(others: dict[str, Any], field: str, number: str) -> str:
    return json.dumps({**others, field: {"a": ["here"]}}).replace('"here"', number)


def test_an_answer_is_not_refused_for_what_a_host_once_said() -> None:
    golden = Host.model_validate(
        {name: None for name, field in Host.model_fields.items() if field.is_required()}
        | {"id": 1, "host_id": "h", "player_name": "n", "peer_id": "h", "status": "online", "max_players": 1}
        | {"current_players": 0, "max_zones": 1, "current_zones": 0, "quality_score": 1, "confidence": 0}
        | {"measured": False, "connected": False, "created_at": 0, "updated_at": 0, "metadata": lists(100)}
    )
    assert golden.metadata == lists(100)
