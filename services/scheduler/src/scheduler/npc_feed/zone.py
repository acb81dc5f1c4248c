"""A zone that is told: what is known of its NPCs, and where its feed stands."""

import asyncio
from dataclasses import dataclass, field
from itertools import count

from contracts.npcs import Source
from nats.aio.msg import Msg

from scheduler.npc_feed.composition import ZoneComposition

URGENT_TOGETHER_S = 0.05
"""Urgent words of one zone that come this close behind one that was told are told together: a flood is twenty messages
a second, and none waits longer than half of the 100 ms that an urgent change may take."""

STALE_AFTER_TURNS = 2


@dataclass
class Zone:
    """A zone that is told."""

    composition: ZoneComposition
    interval: float
    number: "count[int]"
    turn: int | None = None
    urgent_at: float = float("-inf")
    wished_at: float = float("-inf")
    waiting: asyncio.Handle | None = None
    waiting_until: float = 0.0
    """On the loop's clock; uvloop's handle of a wait that it takes for none does not tell."""
    telling: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Numbers leave in their order."""
    traces: list[str] = field(default_factory=list)
    """Of the publishes that the next message carries, where they are recorded."""
    urgent_trace: str | None = None
    """In which the next message goes out: that of the first urgent word it carries."""
    put_off: dict[str, Msg] = field(default_factory=dict)
    """By subject, the newest word on an NPC that was spoken of a moment ago."""
    seq: int | None = None
    """Told last."""
    told_at: float | None = None
    sources: dict[Source, float] = field(default_factory=dict)
    """Who was heard, and when last."""
    gaps: int = 0
    missed_after: int = -1
    """The number after which somebody missed one, of the latest gap."""
    environment_at: float = float("-inf")

    def next_number(self) -> int:
        self.seq = next(self.number)
        return self.seq

    def is_stale(self, now: float) -> bool:
        return self.composition.is_stale(now, STALE_AFTER_TURNS * self.interval)

    def missed(self, after: int | None) -> bool:
        """Hear that somebody heard nothing after that number; True where it is a gap not known yet."""
        if after is None or after <= self.missed_after:
            return False
        self.missed_after = after
        self.gaps += 1
        return True
