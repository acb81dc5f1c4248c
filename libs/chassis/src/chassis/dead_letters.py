"""What could not be used, kept for a person to look at, with the reason."""

import structlog

from chassis import tracing
from chassis.bus import Bus
from chassis.jetstream import publish

log = structlog.stdlib.get_logger()


class UnusableError(Exception):
    """Raised by a handler for a message that no other try will make any better."""


async def dead_letter(bus: Bus, source: str, subject: str, body: bytes, reason: str, *, message_id: str) -> None:
    """Keep a message that can't be used under `p2p.dlq.<source>`, with where it came from and why."""
    log.error("message.dead", source=source, subject=subject, reason=reason)
    headers = {"p2p-subject": subject, "p2p-reason": reason[:512]}
    tracing.inject(headers)
    await publish(bus, f"p2p.dlq.{source}", body, message_id=message_id, headers=headers)
