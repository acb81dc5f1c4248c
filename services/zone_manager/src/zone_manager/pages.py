"""Where a page of zones ends, and how the next one is asked for."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import Annotated, NamedTuple

from chassis.pages import fitting
from chassis.refusals import InvalidError
from contracts.values import Count, LongText
from contracts.zones import Zone, ZonePage
from pydantic import Field, TypeAdapter, ValidationError


class Position(NamedTuple):
    """A place in the list: right behind this zone."""

    p2p_priority: Count
    zone_name: LongText
    id: Annotated[int, Field(ge=0, lt=2**63)]


_POSITION = TypeAdapter(Position)


def read_cursor(cursor: str | None) -> Position | None:
    """Read what `page` wrote; InvalidError for anything else."""
    if cursor is None:
        return None
    try:
        return _POSITION.validate_json(urlsafe_b64decode(cursor.encode("ascii")))
    except (ValueError, ValidationError) as error:
        raise InvalidError("The cursor is not one that a list has given.") from error


def page(zones: Sequence[Zone], limit: int) -> ZonePage:
    """Cut a page off zones that are one more than the limit where there is a next page."""
    items = zones[: len(fitting(zone.model_dump_json().encode() for zone in zones[:limit]))]
    return ZonePage(items=tuple(items), next_cursor=_cursor(items[-1]) if len(items) < len(zones) else None)


def _cursor(last: Zone) -> str:
    return urlsafe_b64encode(json.dumps([last.p2p_priority, last.zone_name, last.id]).encode()).decode()
