"""What AI servers said that cannot be used: the first few of a while are kept as dead letters, the rest is counted."""

from datetime import timedelta

from chassis.bus import Bus
from chassis.clock import Clock
from chassis.dead_letters import dead_letter
from chassis.ids import new_event_id
from prometheus_client import Counter

SOURCE = "npc"

WHILE = timedelta(seconds=10)
LETTERS_A_WHILE = 10
"""Enough to see what is wrong; letters are kept for 30 days, and a flood of nonsense must not fill the disk."""

UNUSABLE = Counter("p2p_npc_words_unusable", "Messages of AI servers that could not be used.")


class Letters:
    """Bounded, whoever writes nonsense."""

    def __init__(self, bus: Bus, clock: Clock) -> None:
        self._bus = bus
        self._clock = clock
        self._until = clock.now()
        self._room = LETTERS_A_WHILE

    async def put(self, subject: str, body: bytes, reason: str) -> None:
        UNUSABLE.inc()
        now = self._clock.now()
        if now >= self._until:
            self._until = now + WHILE
            self._room = LETTERS_A_WHILE
        if self._room > 0:
            self._room -= 1
            await dead_letter(self._bus, SOURCE, subject, body, reason, message_id=new_event_id())
