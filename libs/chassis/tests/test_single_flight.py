"""One piece of work for many who ask for the same at the same time."""

import asyncio
from asyncio import gather

import pytest
from chassis.single_flight import SingleFlight
from testkit.eventually import eventually


class Work:
    """Notes each round, and goes on when it is let."""

    def __init__(self) -> None:
        self.rounds: list[tuple[str, int]] = []
        self.go_on = asyncio.Event()

    async def __call__(self, key: str, askers: int) -> int:
        self.rounds.append((key, askers))
        number = len(self.rounds)
        await self.go_on.wait()
        return number


async def test_those_who_ask_at_once_share_one_round():
    work = Work()
    work.go_on.set()
    flight = SingleFlight(work)
    assert await gather(*(flight.ask("prontera") for _ in range(5))) == [1] * 5
    assert work.rounds == [("prontera", 5)]


async def test_nobody_gets_an_answer_begun_before_the_question():
    work = Work()
    flight = SingleFlight(work)
    first = asyncio.create_task(flight.ask("prontera"))
    await eventually(lambda: len(work.rounds) == 1)
    late = [asyncio.create_task(flight.ask("prontera")) for _ in range(3)]
    await asyncio.sleep(0)
    work.go_on.set()
    assert await first == 1
    assert await gather(*late) == [2, 2, 2]
    assert work.rounds == [("prontera", 1), ("prontera", 3)]


async def test_who_joins_takes_what_is_under_way():
    work = Work()
    flight = SingleFlight(work)
    first = asyncio.create_task(flight.join("prontera"))
    await eventually(lambda: len(work.rounds) == 1)
    late = asyncio.create_task(flight.join("prontera"))
    work.go_on.set()
    assert (await first, await late) == (1, 1)
    assert await flight.join("prontera") == 2


async def test_different_keys_go_side_by_side():
    work = Work()
    flight = SingleFlight(work)
    asked = [asyncio.create_task(flight.ask(key)) for key in ("prontera", "geffen")]
    await eventually(lambda: len(work.rounds) == 2)
    work.go_on.set()
    assert await gather(*asked) == [1, 2]


async def test_a_failure_is_everybodys_and_the_next_round_is_free_of_it():
    fails = [True]

    async def work(_key: str, _askers: int) -> str:
        if fails.pop() if fails else False:
            raise LookupError("away")
        return "there"

    flight = SingleFlight(work)
    failed = await gather(flight.ask("a"), flight.ask("a"), return_exceptions=True)
    assert [type(error) for error in failed] == [LookupError, LookupError]
    assert await flight.ask("a") == "there"


async def test_an_asker_who_gives_up_takes_nobody_along():
    work = Work()
    flight = SingleFlight(work)
    impatient, patient = (asyncio.create_task(flight.ask("a")) for _ in range(2))
    await eventually(lambda: len(work.rounds) == 1)
    impatient.cancel()
    work.go_on.set()
    assert await patient == 1
    with pytest.raises(asyncio.CancelledError):
        await impatient
