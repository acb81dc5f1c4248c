"""Waiting for what others will do, with a deadline instead of a sleep."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import TypeVar, overload

from testkit.patience import patient

Result = TypeVar("Result")

LOOK_EVERY_S = 0.01


@overload
async def eventually(condition: Callable[[], Awaitable[Result]], within: float = ..., of: str = ...) -> Result: ...


@overload
async def eventually(condition: Callable[[], Result], within: float = ..., of: str = ...) -> Result: ...


async def eventually(
    condition: Callable[[], Awaitable[Result] | Result], within: float = 5.0, of: str = "the condition"
) -> Result:
    """Give the first true answer of `condition`, asked again and again; AssertionError after `within` patient seconds.

    An AssertionError of the condition counts as "not yet", and is shown when time is up.
    """
    within = patient(within)
    deadline = time.monotonic() + within
    while True:
        not_yet: AssertionError | None = None
        answer: Result | None = None
        try:
            given = condition()
            answer = await given if isawaitable(given) else given
        except AssertionError as error:
            not_yet = error
        if answer:
            return answer
        if time.monotonic() >= deadline:
            raise AssertionError(f"{of} did not come true within {within:g} s; last: {not_yet or answer!r}")
        await asyncio.sleep(LOOK_EVERY_S)
