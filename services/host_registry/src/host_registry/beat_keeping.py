"""Beats, one per host in a write: those that somebody waits for go in rounds, those heard on NATS by the tick."""

from collections.abc import Sequence
from datetime import datetime
from types import TracebackType
from typing import Protocol, Self

from chassis.clock import Clock

from host_registry.batching import Batch
from host_registry.errors import HostNotFoundError
from host_registry.store.beats import Beat, Kept, Move


class Store(Protocol):
    async def keep(self, beats: Sequence[Beat], now: datetime) -> Kept: ...

    async def moves_to_tell(self, host_ids: Sequence[str], now: datetime) -> list[Move]: ...


class Announcer(Protocol):
    async def scores_moved(self, moves: Sequence[Move], now: datetime) -> None: ...


def fold(earlier: Beat, later: Beat) -> Beat:
    """One beat that says what both said, the later one where both said something."""
    said = {name: value for name, value in later._asdict().items() if value is not None}
    return earlier._replace(**{**said, "at": max(earlier.at, later.at), "asked": earlier.asked or later.asked})


class BeatKeeping:
    """Keeps beats from `async with` until that ends."""

    def __init__(self, store: Store, announcer: Announcer, clock: Clock) -> None:
        self._store = store
        self._announcer = announcer
        self._clock = clock
        self._rounds: Batch[Beat, bytes | None] = Batch(self._round)

    async def __aenter__(self) -> Self:
        await self._rounds.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._rounds.__aexit__(kind, error, traceback)

    async def beat(self, beat: Beat) -> bytes:
        """Keep one beat and give the host as it stands then, as JSON."""
        host = await self._rounds.add(beat._replace(asked=True))
        if host is None:
            raise HostNotFoundError(beat.host_id)
        return host

    async def keep(self, beats: Sequence[Beat]) -> Kept:
        """Keep beats of different hosts by one statement; a second one only when scores are to be told."""
        now = self._clock.now()
        kept = await self._store.keep(beats, now)
        if kept.moved:
            await self._announcer.scores_moved(await self._store.moves_to_tell(kept.moved, now), now)
        return kept

    async def _round(self, beats: list[Beat]) -> list[bytes | None]:
        folded: dict[str, Beat] = {}
        for beat in beats:
            earlier = folded.get(beat.host_id)
            folded[beat.host_id] = beat if earlier is None else fold(earlier, beat)
        kept = await self.keep(list(folded.values()))
        return [kept.shown.get(beat.host_id) for beat in beats]
