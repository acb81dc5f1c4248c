"""Shapes that several messages share: bounded text, counts, measures."""

import json
from typing import Annotated

from pydantic import AfterValidator, Field, JsonValue

MAX_JSON_BYTES = 16 * 1024
"""Free-form JSON travels inside every answer about its owner; 64 of those must fit one reply."""


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
Cursor = Annotated[str, AfterValidator(_without_nul)]
"""Where a page of a list begins; opaque to whoever has it from the answer before, and anything in a stranger's hand."""

SmallJson = Annotated[JsonValue, AfterValidator(_small_json)]

Count = Annotated[int, Field(ge=0, le=2_147_483_647)]
"""Whole things, as PostgreSQL's integer holds them."""
Amount = Annotated[int, Field(ge=1, le=2_147_483_647)]
Capacity = Annotated[int, Field(ge=1, le=1_000_000)]
Milliseconds = Annotated[float, Field(ge=0, le=1e9)]
Percent = Annotated[float, Field(ge=0, le=100)]
Mbps = Annotated[float, Field(ge=0, le=1e9)]
Score = Annotated[float, Field(ge=0, le=100)]
