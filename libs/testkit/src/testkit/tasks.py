"""Ending what a test began."""

import asyncio


async def end(task: asyncio.Task[object]) -> None:
    """Cancel a task until it is over.

    Once may not do: before Python 3.12 `asyncio.wait_for`, which nats-py publishes with, gives its result and forgets
    a cancellation that comes in the same round of the loop.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.5)
