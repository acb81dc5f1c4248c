"""What hosts keep of their sessions: the newest whole checkpoint is the session's, all other bytes are removed.

One checkpoint of a session at a time, sessions side by side.
"""

from datetime import timedelta

from chassis.clock import Clock
from chassis.objects import Objects, made_at
from chassis.refusals import ServiceError, UnavailableError
from contracts.sessions import Checkpoint, KeepCheckpoint, NameSession

from session_manager.errors import (
    CheckpointNotFoundError,
    CheckpointNotNewerError,
    EpochToComeError,
    StaleEpochError,
    WrongStateError,
)
from session_manager.sessions import LIVE, read_ref
from session_manager.store.checkpoints import CheckpointStore, Keeping

TRIES = 3
"""Each try that fails means that the session, or its checkpoint, changed in between."""

AT_ONCE = 100
"""Objects removed by one round: some 5 ms each, and the next round comes soon."""

STRAY_AFTER = timedelta(minutes=10)
"""An object is written and kept within seconds; clocks of machines differ by less than this."""


class Checkpoints:
    """The requests about checkpoints, and what is done about those that nobody needs any more."""

    def __init__(self, store: CheckpointStore, objects: Objects, clock: Clock) -> None:
        self._store = store
        self._objects = objects
        self._clock = clock

    async def keep(self, wish: KeepCheckpoint) -> Checkpoint:
        """Keep what is whole instead of what was kept before; what is refused is removed."""
        ref = read_ref(wish.session)
        try:
            for _ in range(TRIES):
                kept = await self._store.keep(ref, wish, self._clock.now())
                if kept is not None:
                    return kept
                judge(await self._store.of(ref), wish)
        except UnavailableError:  # whether it is kept is not known
            raise
        except ServiceError:
            await self._store.discard(wish.object, wish.size)
            raise
        raise UnavailableError(f"Session {wish.session} changes too fast at the moment; try again.", retry_after_s=0.1)

    async def get(self, question: NameSession) -> Checkpoint:
        """The newest whole checkpoint of a session that lives."""
        keeping = await self._store.of(read_ref(question.session))
        if keeping.checkpoint is None:
            raise CheckpointNotFoundError(keeping.session_id)
        return keeping.checkpoint

    async def remove_discarded(self) -> None:
        """Remove the bytes of what was replaced, refused, or ended with its session."""
        for name in await self._store.discarded(AT_ONCE):
            await self._objects.remove(name)
            await self._store.removed(name)

    async def remove_strays(self) -> None:
        """Remove the bytes of uploads that were cut, and whatever else no row names."""
        bound = self._clock.now() - STRAY_AFTER
        old = [name async for name in self._objects.names() if made_at(name) < bound]
        for name in set(old) - await self._store.kept_among(old):
            await self._objects.remove(name)


def judge(keeping: Keeping, wish: KeepCheckpoint) -> None:
    """Say why a checkpoint is not kept; where nothing speaks against it, it may be tried again."""
    if keeping.status not in LIVE:
        raise WrongStateError(keeping.session_id, keeping.status)
    if wish.epoch < keeping.epoch:
        raise StaleEpochError(keeping.session_id, keeping.host_id, keeping.epoch)
    if wish.epoch > keeping.epoch:
        raise EpochToComeError(keeping.session_id, keeping.epoch)
    if keeping.checkpoint is not None and wish.sequence <= keeping.checkpoint.sequence:
        raise CheckpointNotNewerError(keeping.checkpoint)
