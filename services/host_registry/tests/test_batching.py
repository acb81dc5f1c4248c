"""Work done for many at once."""

import asyncio
from collections.abc import Sequence

import pytest
from host_registry.batching import MOST, Batch


class Doubling:
    """Doubles numbers; each round waits until it is let go."""

    def __init__(self) -> None:
        self.rounds: list[list[int]] = []
        self.begun = asyncio.Event()
        self.go = asyncio.Event()

    async def work(self, numbers: list[int]) -> Sequence[int]:
        self.rounds.append(numbers)
        self.begun.set()
        await self.go.wait()
        if 13 in numbers:
            raise ArithmeticError
        return [2 * number for number in numbers]


async def test_alone_an_item_waits_for_nobody() -> None:
    doubling = Doubling()
    doubling.go.set()
    async with Batch(doubling.work) as batch:
        assert await batch.add(21) == 42


async def test_who_comes_during_a_round_goes_with_the_next() -> None:
    doubling = Doubling()
    async with Batch(doubling.work) as batch, asyncio.TaskGroup() as group:
        first = group.create_task(batch.add(1))
        await doubling.begun.wait()
        others = [group.create_task(batch.add(number)) for number in (2, 3, 4)]
        await asyncio.sleep(0)
        doubling.go.set()
    assert doubling.rounds == [[1], [2, 3, 4]]
    assert [first.result(), *(other.result() for other in others)] == [2, 4, 6, 8]


async def test_a_round_has_a_limit() -> None:
    doubling = Doubling()
    doubling.go.set()
    async with Batch(doubling.work) as batch:
        await asyncio.gather(*(batch.add(0) for _ in range(MOST + 1)))
    assert [len(numbers) for numbers in doubling.rounds] == [MOST, 1]


async def test_what_goes_wrong_with_a_round_is_told_to_all_of_it_and_ends_there() -> None:
    doubling = Doubling()
    doubling.go.set()
    async with Batch(doubling.work) as batch:
        failed = await asyncio.gather(batch.add(13), batch.add(1), return_exceptions=True)
        assert [type(error) for error in failed] == [ArithmeticError, ArithmeticError]
        assert await batch.add(2) == 4


async def test_who_gives_up_waiting_holds_nobody_up() -> None:
    doubling = Doubling()
    async with Batch(doubling.work) as batch:
        waiting = asyncio.create_task(batch.add(1))
        await doubling.begun.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        doubling.go.set()
        assert await batch.add(2) == 4


async def test_what_waits_at_the_end_is_finished() -> None:
    doubling = Doubling()
    async with Batch(doubling.work) as batch:
        first = asyncio.create_task(batch.add(1))
        await doubling.begun.wait()
        second = asyncio.create_task(batch.add(2))
        await asyncio.sleep(0)
        doubling.go.set()
    assert (first.result(), second.result()) == (2, 4)
