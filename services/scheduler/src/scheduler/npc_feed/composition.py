"""One zone's NPCs: what AI servers said, and what of it each message of the feed tells.

No I/O; `now` is seconds of a clock that only goes forward.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

import orjson
from contracts.npcs import Environment, NpcRecord, NpcState

MESSAGE_BYTES = 48 * 1024
"""What is more goes on in the next number: data channels carry 64 KiB, and the environment is in it too."""

ENVIRONMENT_BYTES = 8 * 1024
"""Weather, time of day and the like of one zone; what is more would not fit the message beside the NPCs."""

MOST_LEVEL = 2**53
"""What JavaScript counts to; of hundreds of digits some readers on the way make nothing, nor of the whole message."""

MOST_NPCS = 10_000
"""Of one zone: some 2 MB, which a socket takes in a second; a world that names more has a mistake in its names."""

SHOWN = frozenset(NpcRecord.model_fields)
"""What may leave for a player's machine, whatever else an AI server says."""


class UnusableStateError(Exception):
    """What an AI server said cannot be so; the text says why."""


@dataclass(frozen=True, slots=True)
class Known:
    """An NPC as it was told last."""

    record: bytes
    heard_at: float
    updated_at: datetime | None


class Told(NamedTuple):
    """What a message of the feed tells."""

    body: bytes
    full: bool
    npcs: int


class ZoneComposition:
    """Begins full, and is full again when somebody wants it or it has been long."""

    def __init__(self, zone_id: str, map_name: str | None) -> None:
        self.zone_id = zone_id
        self.map_name = map_name
        self._npcs: dict[str, Known] = {}
        self._environment: bytes | None = None
        self._changed: dict[str, None] = {}
        self._removed: dict[str, None] = {}
        self._environment_changed = False
        self._heard_live: set[str] = set()
        self._heard_at: float | None = None
        self._full_at: float | None = None

    def __len__(self) -> int:
        return len(self._npcs)

    @property
    def heard_at(self) -> float | None:
        """When the AI world spoke of the zone last."""
        return self._heard_at

    def check(self, npc_id: str, state: NpcState) -> None:
        """UnusableStateError where it contradicts its subject, is another's NPC, one too many, or unfit to be told."""
        if state.npc_id != npc_id or state.zone_id not in {None, self.zone_id}:
            raise UnusableStateError("zone_id and npc_id must be those of the subject")
        if state.map is not None and self.map_name is not None and _map(state.map) != _map(self.map_name):
            raise UnusableStateError(f"the NPC is on map {state.map}, and zone {self.zone_id} is {self.map_name}")
        if state.level is not None and abs(state.level) > MOST_LEVEL:
            raise UnusableStateError(f"level must be a number up to {MOST_LEVEL}")
        if state.npc_id not in self._npcs and not state.removed and len(self._npcs) >= MOST_NPCS:
            raise UnusableStateError(f"zone {self.zone_id} has {MOST_NPCS} NPCs already")

    def heard_lately(self, npc_id: str, since: float) -> bool:
        """Whether there was a word on the NPC since then."""
        known = self._npcs.get(npc_id)
        return known is not None and known.heard_at > since

    def hear(self, state: NpcState, now: float) -> None:
        """Take a word in as it comes; an older one than is known changes nothing."""
        self._heard_at = now
        self._heard_live.add(state.npc_id)
        self._take(state, now)

    def recall(self, state: NpcState, now: float) -> None:
        """Take in what was said before we listened, unless something was said since."""
        if self._heard_at is None:
            self._heard_at = now
        if state.npc_id not in self._heard_live:
            self._take(state, now)

    def hear_environment(self, environment: Environment, now: float) -> None:
        """UnusableStateError where it is too much to be passed on."""
        self._set_environment(environment)
        self._heard_at = now

    def recall_environment(self, environment: Environment) -> None:
        """The same, said before."""
        if self._environment is None or not self._environment_changed:
            self._set_environment(environment)

    def miss(self) -> None:
        """Something may have been said that we did not hear: what is recalled next counts."""
        self._heard_live.clear()

    def want_full(self) -> None:
        self._full_at = None

    def wants_full(self, now: float, every: float) -> bool:
        return self._full_at is None or now - self._full_at >= every

    def is_stale(self, now: float, after: float) -> bool:
        """Whether the AI world has been silent for this long; a zone it never spoke of is not stale but empty."""
        return self._heard_at is not None and now - self._heard_at > after

    def forget_unheard(self, before: float) -> None:
        """Remove the NPCs that nobody has spoken of since then."""
        for npc_id in [npc_id for npc_id, known in self._npcs.items() if known.heard_at < before]:
            self._remove(npc_id)

    def compose(
        self,
        number: Callable[[], int],
        now: float,
        at: datetime,
        *,
        full: bool,
        stale: bool,
        traceparent: str | None = None,
    ) -> Iterator[Told]:
        """Tell what changed since the last time, or everything; in several numbers where it is too much for one."""
        ids = list(self._npcs if full else self._changed)
        removed = [] if full else list(self._removed)
        environment = self._environment if full or self._environment_changed else None
        self._changed.clear()
        self._removed.clear()
        self._environment_changed = False
        if full:
            self._full_at = now
        parts = list(_parts(removed, (self._npcs[npc_id].record for npc_id in ids))) or [_Part()]
        for index, part in enumerate(parts):
            first = index == 0
            head: dict[str, object] = {
                "type": "npc-state",
                "zone_id": self.zone_id,
                "seq": number(),
                "ts": at,
                "full": full and first,
                "removed": part.removed,
                "stale": stale,
            }
            if first and environment is not None:
                head["environment"] = orjson.Fragment(environment)
            if traceparent is not None:
                head["traceparent"] = traceparent
            head["npcs"] = orjson.Fragment(b"[" + b",".join(part.records) + b"]")
            yield Told(orjson.dumps(head), full and first, len(part.records))

    def _take(self, state: NpcState, now: float) -> None:
        known = self._npcs.get(state.npc_id)
        if known and known.updated_at and state.updated_at and state.updated_at < known.updated_at:
            return
        if state.removed:
            self._remove(state.npc_id)
            return
        record = state.model_dump_json(include=set(SHOWN), exclude_none=True).encode()
        self._npcs[state.npc_id] = Known(record, now, state.updated_at)
        self._removed.pop(state.npc_id, None)
        if known is None or known.record != record:
            self._changed[state.npc_id] = None

    def _remove(self, npc_id: str) -> None:
        if self._npcs.pop(npc_id, None) is not None:
            self._changed.pop(npc_id, None)
            self._removed[npc_id] = None

    def _set_environment(self, environment: Environment) -> None:
        encoded = environment.model_dump_json(exclude_none=True).encode()
        if len(encoded) > ENVIRONMENT_BYTES:
            raise UnusableStateError(f"an environment is {ENVIRONMENT_BYTES} bytes as JSON at most")
        if encoded != self._environment:
            self._environment = encoded
            self._environment_changed = True


def _map(name: str) -> str:
    """The game server's files are called prontera.gat, the map is prontera."""
    return name.removesuffix(".gat")


@dataclass
class _Part:
    """What one message tells."""

    removed: list[str] = field(default_factory=list)
    records: list[bytes] = field(default_factory=list)


def _parts(removed: Iterable[str], records: Iterable[bytes]) -> Iterator[_Part]:
    part, size = _Part(), 0
    for npc_id in removed:
        length = len(orjson.dumps(npc_id)) + 1
        if size and size + length > MESSAGE_BYTES:
            yield part
            part, size = _Part(), 0
        part.removed.append(npc_id)
        size += length
    for record in records:
        length = len(record) + 1
        if size and size + length > MESSAGE_BYTES:
            yield part
            part, size = _Part(), 0
        part.records.append(record)
        size += length
    if size:
        yield part
