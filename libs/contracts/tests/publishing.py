"""What contracts publish, drawn up so that a later state can be held against it: `published.json` is the last one kept.

    .venv/bin/python -m libs.contracts.tests.publishing

draws it up anew, and refuses while something would break; `--break` is for what nobody speaks any more.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from contracts import catalogue, frames, warp
from contracts.grants import GRANTS, Grant
from contracts.subjects import Rpc, Subject
from pydantic.json_schema import models_json_schema

from libs.contracts.tests.breaking import Json, breaks

KEPT = Path(__file__).with_name("published.json")
COMMAND = ".venv/bin/python -m libs.contracts.tests.publishing"

SOCKETS = "clients of the signaling WebSocket"
GAME_CLIENT = "the shipped game client"
GATEWAY = "signaling_gateway"

WORDS_FOR_PEOPLE = {"title", "description", "examples", "default"}


def published() -> Json:
    """All of it as it is now."""
    return {
        "requests": {subject: _request(rpc) for subject, rpc in sorted(catalogue.requests().items())},
        "subjects": {pattern: _subject(subject) for pattern, subject in sorted(catalogue.subjects().items())},
        "frames": dict(_frames()),
        "messages": dict(_messages()),
    }


def kept() -> Json:
    """All of it as it was when it was last drawn up."""
    found: Json = json.loads(KEPT.read_text())
    return found


def _request(rpc: Rpc[Any, Any]) -> Json:
    return {
        "question": rpc.question.__name__,
        "answer": rpc.answer.__name__,
        "asked_by": [name for name, grant in GRANTS.items() if rpc in grant.asks],
        "answered_by": [name for name, grant in GRANTS.items() if rpc in grant.answers],
    }


def _subject(subject: Subject[Any]) -> Json:
    return {
        "body": subject.body.__name__,
        "told_by": [name for name, grant in GRANTS.items() if _within(subject, grant.tells)],
        "heard_by": [name for name, grant in GRANTS.items() if _within(subject, _heard(grant))],
    }


def _heard(grant: Grant) -> tuple[Subject[Any], ...]:
    return grant.hears + tuple(subject for subjects in grant.consumes.values() for subject in subjects)


def _within(subject: Subject[Any], granted: tuple[Subject[Any], ...]) -> bool:
    return any(
        subject.pattern == other.pattern
        or (other.pattern.endswith(">") and subject.pattern.startswith(other.pattern.removesuffix(">")))
        for other in granted
    )


def _frames() -> Iterator[tuple[str, Json]]:
    for who, dialect in ((SOCKETS, frames), (GAME_CLIENT, warp)):
        for frame in dialect.IN:
            yield frame.__name__, {"told_by": [who], "heard_by": [GATEWAY]}
        for told in dialect.OUT:
            yield told.__name__, {"told_by": [GATEWAY], "heard_by": [who]}


def _messages() -> Iterator[tuple[str, Json]]:
    models = catalogue.messages()
    _, found = models_json_schema([(model, "validation") for model in models.values()], ref_template="{model}")
    schemas = found["$defs"]
    for name in sorted(models):
        fields = schemas[name].get("properties", {})
        yield (
            name,
            {
                "required": sorted(schemas[name].get("required", ())),
                "fields": {field: _bare(about, schemas) for field, about in sorted(fields.items())},
            },
        )


def _bare(schema: Any, schemas: Json) -> Any:
    """Give what a machine reads of it: of other messages the name, of everything else the whole."""
    if isinstance(schema, list):
        return [_bare(each, schemas) for each in schema]
    if not isinstance(schema, dict):
        return schema
    name = schema.get("$ref")
    if name is not None and name not in catalogue.messages():
        return _bare(schemas[name], schemas) | ({"list": name} if "enum" in schemas[name] else {})
    return {
        word: _bare(about, schemas)
        for word, about in schema.items()
        if word not in WORDS_FOR_PEOPLE and (word, about) != ("additionalProperties", True)
    }


def as_text(state: Json) -> str:
    """One line for each subject and each field, so that a difference shows what it is about."""
    depths = {"messages": 3}
    sections = [f"{json.dumps(name)}: {_lines(state[name], depths.get(name, 1))}" for name in state]
    return "{\n" + ",\n".join(sections) + "\n}\n"


def _lines(value: Any, depth: int, indent: str = " ") -> str:
    if not isinstance(value, dict) or not value or depth == 0:
        return json.dumps(value, sort_keys=True)
    inside = [f"{indent}{json.dumps(key)}: {_lines(each, depth - 1, indent + ' ')}" for key, each in value.items()]
    return "{\n" + ",\n".join(inside) + f"\n{indent[1:]}}}"


def main(arguments: list[str]) -> str | None:
    """Draw it up; what is returned says why not."""
    now = published()
    broken = list(breaks(kept(), now)) if KEPT.exists() else []
    if broken and arguments != ["--break"]:
        return "\n\n".join(map(str, broken))
    KEPT.write_text(as_text(now))
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
