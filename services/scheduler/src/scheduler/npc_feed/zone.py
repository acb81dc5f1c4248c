"""A zone that is told: what is known of its NPCs, and where its feed stands."""

import asyncio
from dataclasses import dataclass, field
from itertools import count

from nats.aio.msg import Msg

from scheduler.npc_feed.composition import ZoneComposition

URGENT_TOGETHER_S = 0.05
"""Urgent words of one zone that come this close behind one that was told are told together: a flood is twenty messages
a second, and none waits longer than half of the 100 ms that an urgent change may take."""


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
    environment_at: float = float("-inf")
