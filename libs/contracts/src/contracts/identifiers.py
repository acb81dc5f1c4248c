"""The names of hosts, zones, sessions and peers, and their reversible form inside a NATS subject."""

import re
import unicodedata
from typing import Annotated, NewType
from urllib.parse import quote_from_bytes, unquote_to_bytes

from pydantic import AfterValidator, Field

HostId = NewType("HostId", str)
ZoneId = NewType("ZoneId", str)
SessionId = NewType("SessionId", str)
PeerId = NewType("PeerId", str)
"""A player's peer id is its player id; a host's is its `peer_id`, by default its `host_id`."""

MAX_LENGTH = 128
"""Code points. The predecessor's columns held 100; map names and player names fit with room."""

MAX_SUBJECT_BYTES = 512
"""NATS takes longer subjects, but every subscriber and log line carries them."""

MAX_TOKEN_BYTES = 192
"""Of an identifier in a subject: the longest subjects hold two of them, and a gateway's. 128 plain characters, 64 that
are %XX, 21 of three bytes, 16 of four."""

_ENCODED = re.compile(rb"(?:[A-Za-z0-9_-]|%[0-9A-F]{2})+")


def identifier(text: str) -> str:
    """Give `text` back if it is a legal identifier, else raise ValueError with the rule it breaks."""
    if not 1 <= len(text) <= MAX_LENGTH:
        raise ValueError(f"must have 1 to {MAX_LENGTH} characters")
    if "/" in text:
        raise ValueError("must not contain '/'")
    if text in {".", ".."}:
        raise ValueError("must not be '.' or '..'")
    if not text.isprintable():
        raise ValueError("must be printable")
    if text[0].isspace() or text[-1].isspace():
        raise ValueError("must not begin or end with a blank")
    if not unicodedata.is_normalized("NFC", text):
        raise ValueError("must be in Unicode normal form C")
    if len(text) * 12 > MAX_TOKEN_BYTES and len(to_token(text)) > MAX_TOKEN_BYTES:
        raise ValueError(f"must not exceed {MAX_TOKEN_BYTES} bytes with all but A-Z a-z 0-9 _ - written as %XX")
    return text


Identifier = Annotated[str, AfterValidator(identifier), Field(examples=["host-12345"])]
"""Printable, 1 to 128 code points, NFC, no '/', not '.' or '..', no blank at either end."""


def to_token(text: str) -> str:
    """Encode an identifier as one subject token: every byte outside A-Z a-z 0-9 _ - becomes %XX.

    Reversible by `from_token`, so no identifier can widen or leave its subject.
    """
    # quote leaves '.' and '~' alone; both are written out by hand because '.' separates tokens.
    return quote_from_bytes(text.encode(), safe="").replace(".", "%2E").replace("~", "%7E")


def from_token(token: str) -> str:
    """Decode one subject token; ValueError when `to_token` cannot have made it."""
    if not _ENCODED.fullmatch(token.encode()):
        raise ValueError(f"not an encoded identifier: {token!r}")
    text = unquote_to_bytes(token).decode()
    if to_token(text) != token:
        raise ValueError(f"not the canonical encoding: {token!r}")
    return text
