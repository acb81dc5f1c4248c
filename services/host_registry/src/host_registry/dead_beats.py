"""Beats that can't be used: the first few of a while are kept as dead letters, of the rest only how many there were."""

import json
from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from typing import NamedTuple, Protocol

from chassis.clock import Clock
from prometheus_client import Counter as Metric

DEAD_BEATS = "p2p.dlq.heartbeat"
ANY_HOST = "p2p.heartbeat.>"

WHILE = timedelta(seconds=10)
LETTERS_A_WHILE = 10
"""Enough to see what is wrong; dead letters are kept for 30 days, and a flood of beats must not fill the disk."""

UNUSABLE = Metric("p2p_beats_unusable", "Beats on NATS that could not be used, by reason.", ["reason"])


class DeadBeat(NamedTuple):
    """A beat that can't be used, as it came."""

    subject: str
    body: bytes
    reason: str


class Announcer(Protocol):
    async def dead_letter(self, subject: str, body: bytes, *, about: str, reason: str) -> None: ...


class DeadBeats:
    """Writes the letters; `put` is called every tick, with nothing too."""

    def __init__(self, announcer: Announcer, clock: Clock) -> None:
        self._announcer = announcer
        self._clock = clock
        self._until = clock.now()
        self._room = LETTERS_A_WHILE
        self._untold: Counter[str] = Counter()

    async def put(self, dead: Iterable[DeadBeat]) -> None:
        await self._turn()
        for beat in dead:
            UNUSABLE.labels(beat.reason).inc()
            if self._room > 0:
                self._room -= 1
                await self._announcer.dead_letter(DEAD_BEATS, beat.body, about=beat.subject, reason=beat.reason)
            else:
                self._untold[beat.reason] += 1

    async def _turn(self) -> None:
        """Begin a new while when the last is over, and say how many went untold in it."""
        now = self._clock.now()
        if now < self._until:
            return
        untold, self._untold = self._untold, Counter()
        self._until = now + WHILE
        self._room = LETTERS_A_WHILE
        if untold:
            body = json.dumps({"untold": untold}).encode()
            await self._announcer.dead_letter(DEAD_BEATS, body, about=ANY_HOST, reason="many")
