"""Messages for tests, drawn from the goldens of contracts: one place to change when a field is added."""

import json
from datetime import datetime
from typing import Any, TypeVar

from contracts import catalogue
from contracts.sessions import Session
from contracts.subjects import Message

M = TypeVar("M", bound=Message)


def example(message: type[M], **fields: Any) -> M:
    """The golden of this message, but for `fields`."""
    return message.model_validate(json.loads(catalogue.golden(message)) | fields)


def empty_session(session_id: str, at: datetime, **fields: Any) -> Session:
    """A session made at this time, that nobody has played in or reported on."""
    nothing_yet = dict.fromkeys(
        (
            "average_latency_ms",
            "average_packet_loss_percent",
            "bandwidth_usage_mbps",
            "quality_score",
            "standby",
            "started_at",
        )
    )
    times = dict.fromkeys(("last_activity_at", "created_at", "updated_at"), at)
    nobody = {"connected_players": (), "current_players": 0}
    return example(Session, session_id=session_id, **(nothing_yet | times | nobody | fields))
