"""Budgets that gateways share, on a shared store in the test's hand: one allowance, however many gateways."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from chassis.refusals import UnavailableError
from signaling_gateway.background import Background, in_background
from signaling_gateway.limits import budgets as limits
from signaling_gateway.limits.bucket import NANOSECONDS, Allowance
from signaling_gateway.limits.budgets import Budgets
from signaling_gateway.limits.errors import TooManyRequestsError
from signaling_gateway.limits.shares import Claim, Lease

HUNDRED = Allowance.of(100, timedelta(minutes=1))


class Debts:
    """A shared bucket, which may be emptier than empty."""

    full_at = 0


class Shelf:
    """What Redis would hold, and how it is."""

    def __init__(self) -> None:
        self.now = 10**15
        self.buckets: dict[str, Debts] = {}
        self.leases: list[int] = []
        self.asked = 0
        self.away = False
        self.open = asyncio.Event()
        self.open.set()

    def clock(self) -> int:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += int(seconds * NANOSECONDS)

    async def settle(self, claims: Sequence[Claim]) -> list[Lease]:
        self.asked += 1
        await self.open.wait()
        if self.away:
            raise UnavailableError("Redis is away.")
        return [self._settle(claim) for claim in claims]

    def _settle(self, claim: Claim) -> Lease:
        bucket = self.buckets.setdefault(claim.budget, Debts())
        full_in = max(0, bucket.full_at - self.now) + claim.owed * claim.allowance.interval
        room = (claim.allowance.fills_in - full_in) // claim.allowance.interval
        given = max(0, min(claim.wanted, room))
        bucket.full_at = self.now + full_in + given * claim.allowance.interval
        if claim.wanted:
            self.leases.append(given)
        return Lease(given, bucket.full_at - self.now)

    async def there(self) -> bool:
        return not self.away


def gateway(shelf: Shelf, background: Background, patience_s: float = 10) -> Budgets:
    return Budgets(shelf, background, shelf.clock, patience_s)  # type: ignore[arg-type]


@asynccontextmanager
async def gateways(shelf: Shelf, number: int) -> AsyncIterator[list[Budgets]]:
    async with in_background() as background:
        yield [gateway(shelf, background) for _ in range(number)]


async def granted(budgets: Budgets, name: str = "ann", allowance: Allowance = HUNDRED) -> bool:
    try:
        await budgets.take(name, allowance)
    except TooManyRequestsError:
        return False
    return True


async def count(asked: int, *among: Budgets, name: str = "ann") -> int:
    """How many of so many requests are granted, sent to one gateway after the other."""
    return sum([await granted(among[turn % len(among)], name) for turn in range(asked)])


@pytest.mark.parametrize("number", [1, 2])
async def test_gateways_share_one_budget(number: int):
    shelf = Shelf()
    async with gateways(shelf, number) as all_of_them:
        assert await count(300, *all_of_them) == 100
        shelf.wait(6)
        assert await count(300, *all_of_them) == 10
        shelf.wait(3600)
        assert await count(300, *all_of_them) == 100


@pytest.mark.parametrize("number", [3, 7, 20])
async def test_many_gateways_grant_a_tenth_more_each_at_worst_and_in_time_nothing_more(number: int):
    shelf = Shelf()
    async with gateways(shelf, number) as all_of_them:
        granted_in_all = await count(1000, *all_of_them)
        assert 100 <= granted_in_all <= 100 + number * 10
        for _ in range(20):
            shelf.wait(6)
            granted_in_all += await count(100, *all_of_them)
        assert 100 + 20 * 10 - number * 10 <= granted_in_all <= 100 + 20 * 10 + number * 10


async def test_requests_at_once_share_it_too():
    shelf = Shelf()
    async with gateways(shelf, 2) as (here, there):
        answers = await asyncio.gather(*(granted(here if turn % 2 else there) for turn in range(300)))

    assert 100 <= sum(answers) <= 100 + 2 * 10


async def test_who_asks_for_little_waits_for_nothing_and_redis_is_told_of_all_at_once():
    shelf = Shelf()
    async with gateways(shelf, 1) as (here,):
        for number in range(450):
            assert await count(3, here, name=f"player-{number}") == 3
        assert shelf.asked == 0
        await here.look()
        assert shelf.asked == 3
        await here.look()
        assert shelf.asked == 3, "what is settled is settled"
        interval = HUNDRED.interval
        assert {debts.full_at - shelf.now for debts in shelf.buckets.values()} == {3 * interval}


async def test_what_others_have_granted_counts_once_it_is_told():
    shelf = Shelf()
    async with gateways(shelf, 2) as (here, there):
        assert await count(9, there) == 9
        await there.look()
        assert await count(300, here) == 91
        assert await count(300, there) == 10, "on credit, as it has not heard yet"


async def test_leases_grow_while_they_are_used_up():
    shelf = Shelf()
    async with gateways(shelf, 1) as (here,):
        assert await count(300, here) == 100
        assert [lease for lease in shelf.leases if lease] == [1, 2, 4, 8, 10, 5]
        shelf.wait(12)
        await count(1, here)
        assert shelf.leases[-1] == 1


async def test_who_asks_now_and_then_is_not_kept_short_by_what_many_gateways_have_leased():
    shelf = Shelf()
    async with gateways(shelf, 20) as all_of_them:
        for turn in range(400):
            assert await granted(all_of_them[turn % 20])
            for budgets in all_of_them:
                await budgets.look()
            shelf.wait(0.7)


async def test_the_refusal_says_when_there_is_more():
    shelf = Shelf()
    async with gateways(shelf, 2) as (here, there):
        await count(300, here, there)
        for budgets in (here, there):
            with pytest.raises(TooManyRequestsError) as refused:
                await budgets.take("ann", HUNDRED)
            assert refused.value.refusal.retry_after_s == pytest.approx(0.6)
        shelf.wait(0.6)
        assert await count(4, here, there) == 1


async def test_a_flood_asks_redis_for_nothing():
    shelf = Shelf()
    async with gateways(shelf, 1) as (here,):
        await count(100, here)
        asked = len(shelf.leases)
        assert await count(10_000, here) == 0
        assert len(shelf.leases) == asked


async def test_one_who_floods_leaves_others_theirs():
    shelf = Shelf()
    async with gateways(shelf, 1) as (here,):
        await count(1000, here)
        assert await count(100, here, name="bob") == 100


async def test_while_redis_is_away_each_gateway_has_its_own_and_then_they_share_again():
    shelf = Shelf()
    async with gateways(shelf, 2) as (here, there):
        assert await count(50, here) == 50
        shelf.away = True
        assert await count(300, here) == 50, "what it had granted before still counts"
        assert await count(300, there) == 100
        assert (here.shared, there.shared) == (False, False)
        await here.look()
        assert not here.shared
        shelf.away = False
        shelf.buckets.clear()
        for budgets in (here, there):
            await budgets.look()
            assert budgets.shared
        shelf.wait(60)
        assert 100 - 2 * 10 <= await count(300, here, there) <= 100, "what had not been told still counts"


async def test_nobody_waits_long_for_redis_and_only_the_first_at_all():
    shelf = Shelf()
    shelf.open.clear()
    async with in_background() as background:
        here = gateway(shelf, background, patience_s=0.01)
        assert await count(11, here) == 11
        assert not here.shared
        assert [await granted(here, f"player-{number}") for number in range(1000)] == [True] * 1000
        assert shelf.asked == 1
        shelf.open.set()
    assert here.shared, "it answered, though late"


async def test_budgets_that_nobody_asks_for_are_forgotten_when_they_are_full_again():
    shelf = Shelf()
    async with gateways(shelf, 1) as (here,):
        for number in range(1000):
            await granted(here, f"player-{number}")
        assert len(here) == 1000
        for _ in range(2):
            shelf.wait(121)
            await granted(here, f"someone-{shelf.now}")
        assert len(here) == 2


async def test_there_are_never_more_than_so_many(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "MOST", 100)
    shelf = Shelf()
    async with gateways(shelf, 1) as (here,):
        for number in range(1000):
            await granted(here, f"address-{number}")
            assert len(here) <= 200
