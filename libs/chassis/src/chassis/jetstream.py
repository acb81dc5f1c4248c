"""Publishing to JetStream, acknowledged."""

import json
from typing import Any

from nats.js.api import Header

from chassis.bus import Bus
from chassis.refusals import UnavailableError

ACK_WITHIN_S = 5.0
"""An election of a stream's leader takes up to this long; then the publish is repeated under its id."""


async def publish(
    bus: Bus, subject: str, payload: bytes, *, message_id: str, headers: dict[str, str] | None = None
) -> None:
    """Publish once under `message_id`; return when the stream has stored it, now or before."""
    sent = {Header.MSG_ID.value: message_id, **(headers or {})}
    reply = await bus.request(subject, payload, timeout_s=ACK_WITHIN_S, headers=sent)
    answer: dict[str, Any] = json.loads(reply.data)
    if "error" in answer:
        raise UnavailableError(f"JetStream did not store the message: {answer['error'].get('description')}")
