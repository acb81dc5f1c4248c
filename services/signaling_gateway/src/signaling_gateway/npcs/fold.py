"""All that a zone's feed has told so far, put together: what a newcomer is given. No I/O."""

from collections.abc import Iterator
from typing import Any

import orjson

PART_BYTES = 48 * 1024
"""Of NPCs in one message, as the feed's own: a host passes it to players on channels that carry 64 KiB."""


class Fold:
    """Knows nothing, and wants a full message, until one comes and after each number that is missing."""

    def __init__(self) -> None:
        self.wants_full = True
        self._seq = 0
        self._head: dict[str, Any] = {}
        self._npcs: dict[str, dict[str, Any]] = {}
        self._whole: list[bytes] = []

    @property
    def seq(self) -> int | None:
        """The number that was heard last; None while there is none."""
        return self._seq or None

    def hear(self, body: bytes) -> bool:
        """Take a message in; False where it is not the next one: a deposed leader's, or one before it is missing.

        orjson.JSONDecodeError, KeyError and TypeError for what is no message of the feed; that changes nothing.
        """
        message = orjson.loads(body)
        seq, full, removed = message["seq"], message["full"], set(message.get("removed", ()))
        npcs = {npc["npc_id"]: npc for npc in message["npcs"]}
        head = {"zone_id": message["zone_id"], "ts": message["ts"], "stale": message.get("stale", False)}
        if seq <= self._seq:
            return False
        if not full and (self.wants_full or seq != self._seq + 1):
            self.wants_full = True
            return False
        if full:
            self._npcs.clear()
            self._head = {}
        self._npcs |= npcs
        for npc_id in removed:
            self._npcs.pop(npc_id, None)
        self._seq, self.wants_full = seq, False
        self._head = head | {"environment": message.get("environment", self._head.get("environment"))}
        self._whole = []
        return True

    def forget(self) -> None:
        """Begin anew: numbers may begin lower where NATS has lost what it had."""
        self.wants_full = True
        self._seq = 0

    def whole(self) -> list[bytes]:
        """Everything, as a full message and the deltas that do not fit it; the last has the present number.

        So the next message of the feed is the next number for whoever has heard these.
        """
        if not self._whole and not self.wants_full:
            self._whole = list(self._written())
        return [] if self.wants_full else self._whole

    def _written(self) -> Iterator[bytes]:
        parts = list(self._parts()) or [[]]
        for index, part in enumerate(parts):
            frame = {
                "type": "npc-state",
                "zone_id": self._head["zone_id"],
                "seq": self._seq - len(parts) + 1 + index,
                "ts": self._head["ts"],
                "full": index == 0,
                "removed": [],
                "stale": self._head["stale"],
            }
            if index == 0 and self._head["environment"] is not None:
                frame["environment"] = self._head["environment"]
            frame["npcs"] = [orjson.Fragment(npc) for npc in part]
            yield orjson.dumps(frame)

    def _parts(self) -> Iterator[list[bytes]]:
        part: list[bytes] = []
        size = 0
        for npc in map(orjson.dumps, self._npcs.values()):
            if part and size + len(npc) > PART_BYTES:
                yield part
                part, size = [], 0
            part.append(npc)
            size += len(npc)
        if part:
            yield part
