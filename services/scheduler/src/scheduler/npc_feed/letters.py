"""What AI servers said that cannot be used: the first few of a while are kept as dead letters, the rest is counted.

Of a body only those fields are kept that are no secret of the NPC's: whoever reads letters is no AI server.
"""

from datetime import timedelta

import orjson
from chassis.bus import Bus
from chassis.clock import Clock
from chassis.dead_letters import dead_letter
from chassis.ids import new_event_id
from contracts.npcs import Environment, NpcState
from prometheus_client import Counter

SOURCE = "npc"

WHILE = timedelta(seconds=10)
LETTERS_A_WHILE = 10
"""Enough to see what is wrong; letters are kept for 30 days, and a flood of nonsense must not fill the disk."""

LETTER_BYTES = 4096
"""Of a body that is more than a few coordinates and names nothing is kept but how long it was."""

NO_SECRETS = frozenset(NpcState.model_fields) | frozenset(Environment.model_fields)

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
            kept = without_secrets(body)
            why = f"{reason} ({len(body)} bytes, of which this is what may be shown)"
            await dead_letter(self._bus, SOURCE, subject, kept, why, message_id=new_event_id())


def without_secrets(body: bytes) -> bytes:
    """Give the fields that may be shown, as JSON; nothing of what is no JSON object, for it may be a part of one."""
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError:
        return b""
    if not isinstance(said, dict):
        return b""
    shown = {name: value for name, value in said.items() if name in NO_SECRETS and not isinstance(value, dict | list)}
    kept = orjson.dumps(shown)
    return kept if len(kept) <= LETTER_BYTES else b""
