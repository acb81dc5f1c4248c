"""What sessions do is counted for their zone."""

import asyncio
from asyncio import gather

import pytest
from chassis.consumer import Delivery
from chassis.refusals import UnavailableError
from testkit.eventually import eventually
from zone_manager.tallying import Counted, Tallying, counted

from services.zone_manager.tests.examples import session_fact


@pytest.mark.parametrize(
    "what, joined, sessions, active, served, over",
    [
        ("created", ("a", "b"), 1, 1, 2, False),
        ("activated", ("a",), 0, 0, 0, False),
        ("joined", ("c",), 0, 0, 1, False),
        ("left", (), 0, 0, 0, False),
        ("migrated", (), 0, 0, 0, False),
        ("ended", (), 0, -1, 0, True),
        ("failed", (), 0, -1, 0, True),
    ],
)
def test_what_a_fact_adds(what: str, joined: tuple[str, ...], sessions: int, active: int, served: int, over: bool):
    fact = session_fact(4, joined=joined)
    assert counted(what, fact) == Counted(fact.session_id, 4, "prontera", sessions, active, served, over)


class SlowTallies:
    """Takes what it is given, when it is let."""

    def __init__(self) -> None:
        self.batches: list[list[Counted]] = []
        self.go_on = asyncio.Event()
        self.away = False

    async def add(self, counted: list[Counted]) -> None:
        self.batches.append(counted)
        await self.go_on.wait()
        if self.away:
            raise UnavailableError("The database is away.")


def hear(tallying: Tallying, number: int) -> asyncio.Task[None]:
    delivery = Delivery(f"p2p.events.sessions.session-{number:016x}.created", {}, 1, number)
    return asyncio.create_task(tallying.session_changed(session_fact(1, session_id=f"session-{number:016x}"), delivery))


async def test_facts_that_come_during_a_write_are_written_together():
    tallies = SlowTallies()
    tallying = Tallying(tallies)
    heard = [hear(tallying, 0)]
    await eventually(lambda: tallies.batches)
    heard += [hear(tallying, number) for number in range(1, 30)]
    await asyncio.sleep(0)
    tallies.go_on.set()
    await gather(*heard)
    assert [len(batch) for batch in tallies.batches] == [1, 29]


async def test_a_fact_whose_write_failed_is_not_done_and_can_come_again():
    tallies = SlowTallies()
    tallies.go_on.set()
    tallies.away = True
    tallying = Tallying(tallies)
    with pytest.raises(UnavailableError):
        await hear(tallying, 1)
    tallies.away = False
    await hear(tallying, 1)
    assert [len(batch) for batch in tallies.batches] == [1, 1]
