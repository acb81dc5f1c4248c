"""A zone's NPCs as its feed tells of them: what is known now, whether something is missing, and all of it as messages.

No I/O. Messages come over one ordered connection, whose other end leaves out what a deposed scheduler says.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from types import MappingProxyType

from contracts.npcs import Environment, NpcFeed, NpcRecord

PART_BYTES = 48 * 1024
"""What one message of a whole may take for its NPCs: data channels carry 64 KiB, and the rest is the environment's."""


class ZoneFeed:
    """Empty and `wanting` until a full message comes; wanting again once a number is missing."""

    def __init__(self, zone_id: str) -> None:
        self.zone_id = zone_id
        self.wanting = True
        """Whether only a full message can say how things are."""
        self._npcs: dict[str, NpcRecord] = {}
        self._environment: Environment | None = None
        self._stale = False
        self._seq = 0
        self._at: datetime | None = None
        self._whole: tuple[str, ...] = ()

    @property
    def npcs(self) -> Mapping[str, NpcRecord]:
        """By id, as far as is known; does not change under the caller's hands."""
        return MappingProxyType(dict(self._npcs))

    def hear(self, message: NpcFeed) -> bool:
        """Take a message in; False when it is old or cannot be understood without what is missing."""
        if self.wanting and not message.full:
            return False
        if not self.wanting and message.seq <= self._seq:
            return False
        if not message.full and message.seq > self._seq + 1:
            self.wanting = True
            return False
        self._take(message)
        return True

    def whole(self) -> tuple[str, ...]:
        """All that is known, as JSON: a full message, and deltas in the next numbers where one would be too long.

        The last number is the present one, so that the next message of the feed follows. Nothing while wanting.
        """
        if self.wanting:
            return ()
        if not self._whole:
            self._whole = tuple(message.model_dump_json(exclude_none=True) for message in self._parts())
        return self._whole

    def _take(self, message: NpcFeed) -> None:
        if message.full:
            self._npcs.clear()
            self._environment = None
        self._npcs |= {npc.npc_id: npc for npc in message.npcs}
        for npc_id in message.removed:
            self._npcs.pop(npc_id, None)
        self._environment = message.environment or self._environment
        self._stale, self._seq, self._at = message.stale, message.seq, message.ts
        self.wanting = False
        self._whole = ()

    def _parts(self) -> Iterator[NpcFeed]:
        assert self._at is not None  # noqa: S101  known since the first full message
        parts = [*_split(self._npcs.values())] or [()]
        for index, npcs in enumerate(parts):
            yield NpcFeed(
                zone_id=self.zone_id,
                seq=self._seq - len(parts) + 1 + index,
                ts=self._at,
                full=index == 0,
                npcs=npcs,
                environment=self._environment if index == 0 else None,
                stale=self._stale,
            )


def _split(npcs: Iterable[NpcRecord]) -> Iterator[tuple[NpcRecord, ...]]:
    part: list[NpcRecord] = []
    size = 0
    for npc in npcs:
        length = len(npc.model_dump_json(exclude_none=True).encode()) + 1
        if part and size + length > PART_BYTES:
            yield tuple(part)
            part, size = [], 0
        part.append(npc)
        size += length
    if part:
        yield tuple(part)
