"""Stand-ins for what the use cases need of others."""

from collections.abc import Sequence
from datetime import datetime

from chassis.refusals import UnavailableError
from host_registry.dead_beats import DeadBeat
from host_registry.store.beats import Beat, Kept, Move
from host_registry.store.slots import SeatNews, SlotNews


class BeatsInMemory:
    """Keeps the beats of the hosts it knows; may be away."""

    def __init__(self, *known: str) -> None:
        self.known = set(known)
        self.batches: list[list[Beat]] = []
        self.moved: list[Move] = []
        self.away = False

    async def keep(self, beats: Sequence[Beat], now: datetime | None = None) -> Kept:
        if self.away:
            raise UnavailableError("The database is away.")
        self.batches.append(list(beats))
        return Kept(
            shown={beat.host_id: repr(beat).encode() for beat in beats if beat.asked and beat.host_id in self.known},
            moved=[move.host_id for move in self.moved],
            strays=[beat.host_id for beat in beats if beat.host_id not in self.known],
        )

    async def moves_to_tell(self, host_ids: Sequence[str], now: datetime) -> list[Move]:
        return [move for move in self.moved if move.host_id in host_ids]


class Announced:
    """Remembers what was published."""

    def __init__(self) -> None:
        self.moves: list[Move] = []
        self.letters: list[tuple[str, bytes, str, str]] = []

    async def scores_moved(self, moves: Sequence[Move], now: datetime) -> None:
        self.moves += moves

    async def dead_letter(self, subject: str, body: bytes, *, about: str, reason: str) -> None:
        self.letters.append((subject, body, about, reason))


class Wastebasket:
    """Remembers beats that could not be used."""

    def __init__(self) -> None:
        self.dead: list[DeadBeat] = []

    async def put(self, dead: Sequence[DeadBeat]) -> None:
        self.dead += dead


class SlotsInMemory:
    """Remembers what sessions told, and gives no slot."""

    def __init__(self) -> None:
        self.slots: list[SlotNews] = []
        self.seats: list[SeatNews] = []

    async def reserve(
        self, host_id: str, session_id: str, zone_id: str, *, seats: int, until: datetime, heard_after: datetime
    ) -> bytes | None:
        return None

    async def release(self, host_id: str, session_id: str) -> None:
        return

    async def hear(self, slots: Sequence[SlotNews], seats: Sequence[SeatNews], forget_at: datetime) -> None:
        self.slots += slots
        self.seats += seats
