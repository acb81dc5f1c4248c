"""What was said last of each NPC, and so what is worth saying now: pure.

Changes are said as they are found. Of what stays as it is a part is said again each round, that which was said longest
ago: nothing is forgotten while it is there, no zone falls silent, and 10,000 words never come at once.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator
from itertools import islice
from math import ceil
from typing import NamedTuple

from contracts.npcs import NpcState


class Saying(NamedTuple):
    """A message of an AI server."""

    zone_id: str
    npc_id: str
    body: bytes


class _Word(NamedTuple):
    """What was said; `essence` is all of it but when it was so."""

    body: bytes
    essence: bytes


class Sayings:
    """Of one source."""

    def __init__(self) -> None:
        self._words: dict[str, dict[str, _Word]] = {}
        """By zone, in each the one first that was said longest ago."""
        self._zones_of: defaultdict[str, set[str]] = defaultdict(set)

    def __len__(self) -> int:
        return sum(map(len, self._words.values()))

    @property
    def npc_ids(self) -> Collection[str]:
        return self._zones_of.keys()

    def place(self, state: NpcState, zone_ids: Collection[str]) -> list[Saying]:
        """Have the NPC in these zones and no other, as it is now."""
        said = [self._remove(zone_id, state.npc_id) for zone_id in self._zones_of[state.npc_id].difference(zone_ids)]
        essence = state.model_dump_json(exclude_none=True, exclude={"updated_at"}).encode()
        for zone_id in zone_ids:
            known = self._words.get(zone_id, {}).get(state.npc_id)
            if known is None or known.essence != essence:
                said.append(self._say(zone_id, state.npc_id, _Word(_body(state), essence)))
        if not self._zones_of[state.npc_id]:
            del self._zones_of[state.npc_id]
        return said

    def gone(self, npc_id: str) -> list[Saying]:
        """Have the NPC nowhere."""
        return [self._remove(zone_id, npc_id) for zone_id in self._zones_of.pop(npc_id, set())]

    def again(self, share: float) -> Iterator[Saying]:
        """Say again this part of each zone's words, one at least."""
        for zone_id, words in self._words.items():
            oldest = list(islice(words.items(), ceil(len(words) * min(1.0, share))))
            for npc_id, word in oldest:
                del words[npc_id]
                yield self._say(zone_id, npc_id, word)

    def keep_zones(self, zone_ids: Collection[str]) -> None:
        """Let go of what was said of other zones, without a word: nobody listens there any more."""
        for zone_id in self._words.keys() - set(zone_ids):
            for npc_id in self._words.pop(zone_id):
                self._leave(zone_id, npc_id)

    def let_go(self, npc_id: str) -> None:
        """Say nothing more of an NPC: somebody else does."""
        for zone_id in self._zones_of.pop(npc_id, set()):
            del self._words[zone_id][npc_id]

    def doubt(self) -> None:
        """Perhaps nobody heard it: say everything anew as it is found."""
        for words in self._words.values():
            for npc_id, word in words.items():
                words[npc_id] = word._replace(essence=b"")

    def _say(self, zone_id: str, npc_id: str, word: _Word) -> Saying:
        words = self._words.setdefault(zone_id, {})
        words.pop(npc_id, None)
        words[npc_id] = word
        self._zones_of[npc_id].add(zone_id)
        return Saying(zone_id, npc_id, word.body)

    def _remove(self, zone_id: str, npc_id: str) -> Saying:
        del self._words[zone_id][npc_id]
        self._zones_of[npc_id].discard(zone_id)
        return Saying(zone_id, npc_id, _body(NpcState(npc_id=npc_id, removed=True)))

    def _leave(self, zone_id: str, npc_id: str) -> None:
        self._zones_of[npc_id].discard(zone_id)
        if not self._zones_of[npc_id]:
            del self._zones_of[npc_id]


def _body(state: NpcState) -> bytes:
    return state.model_dump_json(exclude_defaults=True).encode()
