"""An event loop on a thread of its own, where servers live longer than the loop of any one test."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, ClassVar, TypeVar
from weakref import WeakSet

Result = TypeVar("Result")


class Portal:
    loops: ClassVar[WeakSet[asyncio.AbstractEventLoop]] = WeakSet()
    """Those of all portals that there are."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self.loops.add(self._loop)
        self._thread = threading.Thread(target=self._loop.run_forever, name="servers", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Do `work` over there and block until it is done."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def perform(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Do `work` over there while the caller's own loop goes on."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    @contextmanager
    def holding(self, resource: AbstractAsyncContextManager[Result]) -> Iterator[Result]:
        """Enter and leave `resource` over there, in one task, as task groups and timeouts inside it want."""
        entered: Future[Result] = Future()
        leave = asyncio.Event()

        async def hold() -> None:
            try:
                async with resource as held:
                    entered.set_result(held)
                    await leave.wait()
            except BaseException as error:
                if entered.done():
                    raise
                entered.set_exception(error)

        holding = asyncio.run_coroutine_threadsafe(hold(), self._loop)
        try:
            yield entered.result()
        finally:
            self._loop.call_soon_threadsafe(leave.set)
            holding.result()

    def close(self) -> None:
        self.run(self._loop.shutdown_asyncgens())
        self.run(self._loop.shutdown_default_executor())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
