"""What a route is given and what it gives back: bytes, with as little around them as possible."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from signaling_gateway.http.framework.gate import Admission

JSON = b"application/json"

KEY_LENGTH = 255
"""Of an `Idempotency-Key`: a UUID has 36, and owners keep each key for a day."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request, read completely."""

    path: str
    """Its canonical spelling, still percent-encoded."""
    params: Mapping[str, str]
    """The identifiers in the path, decoded."""
    query: bytes
    headers: Mapping[bytes, bytes]
    """By lower-case name; of one that was sent twice the last."""
    body: bytes
    admission: Admission
    """Who sends it."""


class Answer(NamedTuple):
    """What goes back: 200 and JSON unless said otherwise."""

    body: bytes = b""
    status: int = 200
    headers: tuple[tuple[bytes, bytes], ...] = ()
    content_type: bytes = JSON


Answering = Callable[[Request], Awaitable[Answer]]
