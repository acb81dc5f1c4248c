"""What we publish ourselves; facts of the outbox are told by the statements that make them true."""

from collections.abc import Iterable
from datetime import datetime

from chassis.bus import Bus
from contracts.hosts import SCORE_CHANGED, ScoreChanged

from host_registry.store.beats import Move


class Announcer:
    """Core publishes: they may be lost, and nothing waits for them."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def scores_moved(self, moves: Iterable[Move], now: datetime) -> None:
        for host_id, score, previous in moves:
            fact = ScoreChanged(host_id=host_id, quality_score=score, previous=previous, occurred_at=now)
            await self._bus.publish(SCORE_CHANGED.of(host_id=host_id), fact.model_dump_json().encode())

    async def dead_letter(self, subject: str, body: bytes, *, about: str, reason: str) -> None:
        """Put what could not be used under `subject`, with the reason and the subject it came on."""
        await self._bus.publish(subject, body, headers={"p2p-subject": about, "p2p-reason": reason})
