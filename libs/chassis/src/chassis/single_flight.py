"""One piece of work for many who ask for the same at the same time.

Of one key, one piece of work is under way; whoever asks meanwhile gets the next, which they all share. So nobody is
given an answer that was begun before the question: what was acknowledged to anyone before that is in it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Result = TypeVar("Result")


class _Round(Generic[Result]):
    """Those who share one piece of work."""

    task: asyncio.Task[Result]
    askers = 0


class SingleFlight(Generic[Key, Result]):
    """Does `work(key, askers)` for all who wait for it."""

    def __init__(self, work: Callable[[Key, int], Awaitable[Result]]) -> None:
        self._work = work
        self._under_way: dict[Key, asyncio.Task[Result]] = {}
        self._gathering: dict[Key, _Round[Result]] = {}

    async def ask(self, key: Key) -> Result:
        """Wait for a piece of work that begins after this call; its failure is the failure of all who share it."""
        shared = self._gathering.get(key)
        if shared is None:
            shared = self._gathering[key] = _Round()
            # Begun in the context of its first asker: it runs in that one's trace, and against that one's deadline.
            shared.task = asyncio.create_task(self._begin(key, shared, self._under_way.get(key)))
        shared.askers += 1
        # Shielded: one asker that is cancelled must not take the others with it.
        return await asyncio.shield(shared.task)

    async def join(self, key: Key) -> Result:
        """Wait for what is under way, which may have begun before this call, or begin it."""
        under_way = self._under_way.get(key)
        return await (asyncio.shield(under_way) if under_way is not None else self.ask(key))

    async def _begin(self, key: Key, shared: _Round[Result], before: asyncio.Task[Result] | None) -> Result:
        if before is not None:
            await asyncio.wait({before})
        del self._gathering[key]
        self._under_way[key] = shared.task
        try:
            return await self._work(key, shared.askers)
        finally:
            if self._under_way.get(key) is shared.task:
                del self._under_way[key]
