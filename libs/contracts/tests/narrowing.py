"""Whether a JSON Schema takes less than another, by the words that pydantic writes; of any other both must agree."""

from typing import Any

Json = dict[str, Any]

LEAST = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
MOST = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
INSIDE = ("items", "additionalProperties", "propertyNames")

OPEN_LISTS = {"Code"}
"""Whoever hears a word of these that is new to them keeps it as it is."""

_LOOKED_AT = {"type", "enum", "const", "list", "anyOf", "$ref", *LEAST, *MOST, *INSIDE}


def narrows(before: Json, now: Json, *, bounds: bool = True) -> str:
    """Say what is not taken any more, "" for nothing; without `bounds`, how long and how large is no matter."""
    wide = _choices(now)
    for choice in _choices(before):
        reasons = {_refuses(other, choice, bounds=bounds): other for other in wide}
        if "" not in reasons:
            alike = [why for why, other in reasons.items() if other.get("type") == choice.get("type")]
            alone = len(wide) == len(_choices(before)) == 1
            return next(iter(reasons if alone else alike), f"no {_shown(choice)}")
    return ""


def _choices(schema: Json) -> list[Json]:
    found: list[Json] = schema.get("anyOf", [schema])
    return found


def _refuses(now: Json, before: Json, *, bounds: bool) -> str:
    if not now:
        return ""
    if now.get("$ref") != before.get("$ref") or not before:
        return f"{_shown(now)} rather than {_shown(before)}"
    kinds = (before.get("type"), now.get("type"))
    if kinds[0] != kinds[1] and kinds != ("integer", "number"):
        return f"{_shown(now)} rather than {_shown(before)}"
    return (
        _values(now, before)
        or (_bounds(now, before) if bounds else "")
        or _inside(now, before, bounds=bounds)
        or next((f"another {word}" for word in _others(now, before)), "")
    )


def _values(now: Json, before: Json) -> str:
    if now.get("list") in OPEN_LISTS and now.get("list") == before.get("list"):
        return ""
    taken, was = _listed(now), _listed(before)
    if taken is None:
        return ""
    if was is None:
        return f"only {', '.join(sorted(map(str, taken)))}"
    missing = [value for value in was if value not in taken]
    return f"no {', '.join(sorted(map(str, missing)))}" if missing else ""


def _listed(schema: Json) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    found: list[Any] | None = schema.get("enum")
    return found


def _bounds(now: Json, before: Json) -> str:
    for words, beyond in ((LEAST, lambda then, at: then < at), (MOST, lambda then, at: then > at)):
        for word in words:
            if word in now and (word not in before or beyond(before[word], now[word])):
                return f"{word} {now[word]} rather than {before.get(word, 'none')}"
    return ""


def _inside(now: Json, before: Json, *, bounds: bool) -> str:
    for word in INSIDE:
        if word in now and (why := narrows(before.get(word, {}), now[word], bounds=bounds)):
            return f"in its {word}, {why}"
    return ""


def _others(now: Json, before: Json) -> list[str]:
    return sorted(word for word in now.keys() - _LOOKED_AT if now[word] != before.get(word))


def _shown(schema: Json) -> str:
    if not schema:
        return "anything"
    return str(schema.get("$ref") or schema.get("type") or schema)
