"""Shapes that several messages share: bounded text, counts, measures."""

import json
from math import isfinite
from typing import Annotated

from pydantic import AfterValidator, Field, JsonValue

MAX_JSON_BYTES = 16 * 1024
"""Free-form JSON travels inside every answer about its owner; 64 of those must fit one reply."""


MAX_JSON_DEPTH = 32
"""Arrays and objects within one another. pydantic reads 200, orjson writes 254, a page's own reader perhaps fewer; and
it is read inside a host, inside a fact, inside an answer."""


def is_nested_too_deeply(value: JsonValue, depth: int = MAX_JSON_DEPTH) -> bool:
    """Whether free-form JSON has more levels than `depth`; looks no deeper itself."""
    if isinstance(value, dict):
        return depth == 0 or any(is_nested_too_deeply(inner, depth - 1) for inner in value.values())
    if isinstance(value, list):
        return depth == 0 or any(is_nested_too_deeply(inner, depth - 1) for inner in value)
    return False


def _holds_unreadable_number(value: JsonValue) -> bool:
    """Whether some reader takes a number in it for none: one of 400 digits is infinite to one, an error to another."""
    if isinstance(value, dict):
        return any(map(_holds_unreadable_number, value.values()))
    if isinstance(value, list):
        return any(map(_holds_unreadable_number, value))
    if isinstance(value, float):
        return not isfinite(value)
    return isinstance(value, int) and not -(2**63) <= value < 2**64


def _shallow(value: JsonValue) -> JsonValue:
    if is_nested_too_deeply(value):
        raise ValueError(f"must not be nested more than {MAX_JSON_DEPTH} levels deep")
    if _holds_unreadable_number(value):
        raise ValueError("must hold finite numbers only, and integers of 64 bits at most")
    return value


def _without_nul(text: str) -> str:
    # PostgreSQL stores every character but this one.
    if "\x00" in text:
        raise ValueError("must not contain the character U+0000")
    return text


def _small_json(value: JsonValue) -> JsonValue:
    encoded = json.dumps(value)
    if len(encoded) > MAX_JSON_BYTES:
        raise ValueError(f"must not exceed {MAX_JSON_BYTES} bytes as JSON")
    if "\\u0000" in encoded:
        raise ValueError("must not contain the character U+0000")
    return value


Text = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_without_nul)]
LongText = Annotated[str, Field(max_length=4096), AfterValidator(_without_nul)]
Word = Annotated[str, AfterValidator(_without_nul)]
Cursor = Word
"""Where a page of a list begins; opaque to whoever has it from the answer before, and anything in a stranger's hand."""

ShallowJson = Annotated[JsonValue, AfterValidator(_shallow)]
SmallJson = Annotated[ShallowJson, AfterValidator(_small_json)]

Count = Annotated[int, Field(ge=0, le=2_147_483_647)]
"""Whole things, as PostgreSQL's integer holds them."""
Amount = Annotated[int, Field(ge=1, le=2_147_483_647)]
Capacity = Annotated[int, Field(ge=1, le=1_000_000)]
Milliseconds = Annotated[float, Field(ge=0, le=1e9)]
Percent = Annotated[float, Field(ge=0, le=100)]
Mbps = Annotated[float, Field(ge=0, le=1e9)]
Score = Annotated[float, Field(ge=0, le=100)]
