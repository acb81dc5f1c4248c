"""Cursors of the list of hosts: where a page ended, in a form that is nobody else's business."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from math import inf, isfinite
from typing import NamedTuple

from chassis.refusals import InvalidError


class Position(NamedTuple):
    """A place in the order of hosts: best score first, then by number."""

    score: float
    no: int


START = Position(inf, 0)


def cursor_at(position: Position) -> str:
    return urlsafe_b64encode(f"{position.score!r} {position.no}".encode()).decode().rstrip("=")


def position_of(cursor: str | None) -> Position:
    """Read a cursor; InvalidError when it is none of ours."""
    if cursor is None:
        return START
    try:
        score, no = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().split(" ")
        position = Position(float(score), int(no))
    except ValueError as error:  # UnicodeDecodeError and binascii.Error are ValueErrors
        raise InvalidError("The cursor is not one that a page gave.") from error
    if not isfinite(position.score) or not 0 <= position.no < 2**63:
        raise InvalidError("The cursor is not one that a page gave.")
    return position
