"""What an AI service is asked next, so that its few requests serve every NPC alike: pure."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from zlib import crc32

ENVIRONMENT_EVERY_S = 30.0
"""Weather and time of day change by the minute."""

ABSENT_EVERY_S = 300.0
"""An NPC that is not there may come; until then others need the requests."""

CATALOGUE_EVERY_S = 300.0


@dataclass(frozen=True, slots=True)
class AskHealth:
    """Whether the service is well."""


@dataclass(frozen=True, slots=True)
class AskEnvironment:
    """How the world is."""


@dataclass(frozen=True, slots=True)
class AskNpc:
    npc_id: str


@dataclass(frozen=True, slots=True)
class AskCatalogue:
    """Which NPCs a zone has: a URL that the predecessor documented."""

    zone_id: str


Question = AskHealth | AskEnvironment | AskNpc | AskCatalogue


@dataclass
class Agenda:
    """When each was asked last; who was never asked comes first, then whose answer is oldest."""

    every: float
    """How often an NPC is worth asking after: the feed tells no more often."""
    pace: float
    """Seconds between questions that are only repeated: what is left of the budget meets what is new at once."""
    term: int
    """Each leader takes those never asked after in another order: where leaders change often, all have their turn."""
    npcs: dict[str, float] = field(default_factory=dict)
    absent: set[str] = field(default_factory=set)
    doubted: str | None = None
    """An NPC that is suddenly absent: is it that, or the service?"""
    catalogues: dict[str, float] | None = field(default_factory=dict)
    """By zone; None once the service has said that it has none."""
    environment: float = float("-inf")
    repeated: float = float("-inf")

    def next(self, zone_ids: Collection[str], npc_ids: Collection[str], now: float) -> Question | None:
        if self.doubted is not None:
            return AskHealth()
        if now - self.environment >= ENVIRONMENT_EVERY_S:
            return AskEnvironment()
        if (zone_id := self._catalogue_due(zone_ids, now)) is not None:
            return AskCatalogue(zone_id)
        npc_id = self._npc_due(npc_ids, now)
        if npc_id is None or (npc_id in self.npcs and now - self.repeated < self.pace):
            return None
        return AskNpc(npc_id)

    def asked(self, question: Question, now: float) -> None:
        match question:
            case AskEnvironment():
                self.environment = now
            case AskCatalogue(zone_id):
                if self.catalogues is not None:
                    self.catalogues[zone_id] = now
            case AskNpc(npc_id):
                self.npcs[npc_id] = now
            case AskHealth():
                pass
        self.repeated = now

    def keep(self, npc_ids: Collection[str]) -> None:
        """Let go of NPCs that nobody asks after any more."""
        for npc_id in self.npcs.keys() - set(npc_ids):
            del self.npcs[npc_id]
            self.absent.discard(npc_id)

    def _catalogue_due(self, zone_ids: Iterable[str], now: float) -> str | None:
        if self.catalogues is None:
            return None
        never = float("-inf")
        due = (zone for zone in zone_ids if now - self.catalogues.get(zone, never) >= CATALOGUE_EVERY_S)
        return next(due, None)

    def _npc_due(self, npc_ids: Iterable[str], now: float) -> str | None:
        due_at, _, npc_id = min((self._turn(npc_id) for npc_id in npc_ids), default=(now, 0, None))
        return npc_id if due_at <= now else None

    def _turn(self, npc_id: str) -> tuple[float, int, str]:
        asked_at = self.npcs.get(npc_id)
        if asked_at is None:
            return float("-inf"), crc32(f"{self.term} {npc_id}".encode()), npc_id
        return asked_at + (ABSENT_EVERY_S if npc_id in self.absent else self.every), 0, npc_id
