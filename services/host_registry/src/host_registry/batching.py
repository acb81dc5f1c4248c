"""Work done for many at once: whoever comes while a round is at work goes with the next one.

Alone, an item waits for nobody; under load the rounds grow by themselves and their number stays small.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextvars import Context, copy_context
from typing import Generic, NamedTuple, Self, TypeVar

from chassis import tracing

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST = 1000
"""Items in one round: enough for any number of requests in flight, and still a short statement."""


class _Waiting(NamedTuple, Generic[Item, Result]):
    item: Item
    result: asyncio.Future[Result]
    context: Context | None
    """That of a sampled trace."""


class Batch(Generic[Item, Result]):
    """Does `work` in rounds, one at a time, from `async with` until that ends; it gives one result per item."""

    def __init__(self, work: Callable[[list[Item]], Coroutine[object, object, Sequence[Result]]]) -> None:
        self._work = work
        self._waiting: list[_Waiting[Item, Result]] = []
        self._arrived = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._closing = False
        self._rounds = asyncio.create_task(self._run(), name="batch")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Finish what waits."""
        self._closing = True
        self._arrived.set()
        await self._rounds

    async def add(self, item: Item) -> Result:
        """Have `item` done with the next round; what goes wrong with a round goes wrong for all of it."""
        result: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(item, result, copy_context() if tracing.recording() else None))
        self._arrived.set()
        return await result

    async def _run(self) -> None:
        while self._waiting or not self._closing:
            if not self._waiting:
                self._arrived.clear()
                await self._arrived.wait()
                continue
            taken, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
            await self._round(taken)

    async def _round(self, taken: list[_Waiting[Item, Result]]) -> None:
        # The round's spans belong to the first of its items whose trace is sampled.
        context = next((waiting.context for waiting in taken if waiting.context is not None), None)
        try:
            results = await asyncio.create_task(self._work([waiting.item for waiting in taken]), context=context)
        except Exception as error:  # noqa: BLE001 -- handed to those who wait, each of whom raises it
            for waiting in taken:
                if not waiting.result.done():
                    waiting.result.set_exception(error)
            return
        for waiting, result in zip(taken, results, strict=True):
            if not waiting.result.done():  # a caller that gave up has cancelled it
                waiting.result.set_result(result)
