"""Who has how much left: a budget for everybody, shared by all gateways, and none that grows for ever.

Each gateway keeps a bucket of its own for everybody whom it sees, with the whole allowance: what that refuses, no other
gateway would grant, and Redis is not asked. What it grants counts against the shared budget too. Up to a tenth of the
allowance is granted on credit, and Redis is told of all such debts at once, every now and then: those who ask for
little never wait for it. Who asks for more does, and so does everybody whose budget is known to run out: then the
gateway leases one, and twice as many each time that they are used up at once, up to a tenth; a lease ends as soon as
the shared budget has as many more, so that it is kept from no other gateway for long. Debts count even where nothing is
left, so over time nobody has more than the allowance, and at any moment a tenth more for each gateway at worst.

While Redis is away or slow, the gateway's own bucket alone decides, and nobody waits.
"""

import asyncio
from collections.abc import Callable

import structlog
from chassis.refusals import UnavailableError
from prometheus_client import Gauge

from signaling_gateway.background import Background
from signaling_gateway.limits.bucket import NANOSECONDS, Allowance, Bucket
from signaling_gateway.limits.errors import TooManyRequestsError
from signaling_gateway.limits.shares import Claim, Lease, Shares

log = structlog.stdlib.get_logger()

SHARED = Gauge("p2p_limits_shared", "Whether all gateways share limits: 1, or 0 while Redis is away.")

MOST = 50_000
"""Budgets that are young, and as many old ones; 300 bytes each. Who has more addresses than that is no player."""

OLD_AFTER = 120 * NANOSECONDS
"""Twice what any allowance takes to fill: one that nobody has asked for since is full."""

SETTLED_AT_ONCE = 200
"""Debts in one script, which Redis does nothing beside: some hundreds of microseconds."""

TIGHT = 4
"""Blocks: with less than that left, of which other gateways may be granting some, nothing is granted on credit."""


class Question:
    """A lease that Redis is asked for."""

    __slots__ = ("answered",)

    def __init__(self) -> None:
        self.answered = asyncio.Event()


class Budget:
    """What one somebody has left here."""

    __slots__ = (
        "allowance",
        "lease_size",
        "leased",
        "leased_until",
        "name",
        "owed",
        "own",
        "question",
        "refused_until",
        "tight_until",
        "told",
    )

    def __init__(self, name: str, allowance: Allowance) -> None:
        self.name = name
        self.allowance = allowance
        self.own = Bucket()
        self.owed = 0
        """Granted on credit."""
        self.told = 0
        """Of that, what Redis is being told of at this moment."""
        self.leased = 0
        self.leased_until = 0
        self.lease_size = 0
        self.tight_until = 0
        self.refused_until = 0
        self.question: Question | None = None
        """What Redis is being asked: one lease at a time."""

    def take(self, now: int) -> bool:
        """Take one for which nobody need be asked."""
        if self.leased and now < self.leased_until:
            self.leased -= 1
            return True
        if now < self.tight_until or self.owed >= self.allowance.block:
            return False
        self.owed += 1
        return True

    def wanted(self, now: int) -> int:
        """How many to lease; none where there is so much left that it goes on on credit."""
        if now >= self.tight_until:
            return 0
        used_up = now < self.leased_until
        self.lease_size = min(2 * self.lease_size, self.allowance.block) if used_up else 1
        return self.lease_size

    def claim(self, wanted: int = 0) -> Claim:
        """Tell of what is owed and not being told of yet."""
        owed = self.owed - self.told
        self.told += owed
        return Claim(self.name, self.allowance, owed, wanted)

    def settled(self, claim: Claim, lease: Lease, now: int) -> None:
        """Know what Redis has said to a claim."""
        allowance = self.allowance
        self.owed -= claim.owed
        self.told -= claim.owed
        self.tight_until = now + lease.full_in - allowance.fills_in + TIGHT * allowance.block * allowance.interval
        if claim.wanted:
            self.leased, self.leased_until = lease.given, now + lease.given * allowance.interval
            if not lease.given:
                self.refused_until = now + lease.full_in + allowance.interval - allowance.fills_in

    def unsettled(self, claim: Claim) -> None:
        self.told -= claim.owed


class Budgets:
    """All of them."""

    def __init__(self, shares: Shares, background: Background, clock: Callable[[], int], patience_s: float) -> None:
        """`clock`: nanoseconds that don't go back; `patience_s`: how long a request may wait for Redis."""
        self._shares = shares
        self._background = background
        self._clock = clock
        self._patience_s = patience_s
        self._young: dict[str, Budget] = {}
        self._old: dict[str, Budget] = {}
        self._turns_at = 0
        self._debtors: set[Budget] = set()
        self._overdue: set[Question] = set()
        """What Redis was asked too long ago; nobody waits for it any more."""
        self._away = False
        SHARED.set(1)

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    @property
    def shared(self) -> bool:
        """Whether other gateways' grants count here, and ours there."""
        return not self._away and not self._overdue

    async def take(self, name: str, allowance: Allowance) -> None:
        """Take one; TooManyRequestsError when there is none."""
        now = self._clock()
        budget = self._budget(name, allowance, now)
        if not budget.own.take(allowance, now):
            raise _too_many(budget.own.wait(allowance, now))
        while self.shared and not budget.take(now):
            if now < budget.refused_until:
                budget.own.give_back(allowance)
                raise _too_many(budget.refused_until - now)
            if not await self._answered(budget):
                return
            now = self._clock()
        if budget.owed:
            self._debtors.add(budget)

    async def look(self) -> None:
        """Settle debts, or see whether Redis is back; the work of a loop."""
        if self._away:
            if await self._shares.there():
                self._away = False
                SHARED.set(1)
                log.info("limits.shared")
            return
        debtors, self._debtors = self._debtors, set()
        for some in _batches(list(debtors)):
            await self._settle(some)

    def _budget(self, name: str, allowance: Allowance, now: int) -> Budget:
        found = self._young.get(name)
        if found is None:
            if now >= self._turns_at or len(self._young) >= MOST:
                self._young, self._old, self._turns_at = {}, self._young, now + OLD_AFTER
            found = self._old.pop(name, None) or Budget(name, allowance)
            self._young[name] = found
        return found

    async def _answered(self, budget: Budget) -> bool:
        """Have Redis asked for a lease, and wait for that; False when the wait was too long."""
        question = budget.question
        if question is None:
            question = budget.question = Question()
            self._background.send(self._lease(budget, question))
        try:
            async with asyncio.timeout(self._patience_s):
                await question.answered.wait()
        except TimeoutError:
            if question.answered.is_set():
                return True
            self._overdue.add(question)
            return False
        return True

    async def _lease(self, budget: Budget, question: Question) -> None:
        try:
            await self._settle([budget], budget.wanted(self._clock()))
        finally:
            budget.question = None
            question.answered.set()
            self._overdue.discard(question)

    async def _settle(self, budgets: list[Budget], wanted: int = 0) -> None:
        claims = [budget.claim(wanted) for budget in budgets]
        try:
            leases = await self._shares.settle(claims)
        except UnavailableError as error:
            for budget, claim in zip(budgets, claims, strict=True):
                budget.unsettled(claim)
            self._lose(error)
            return
        now = self._clock()
        for budget, claim, lease in zip(budgets, claims, leases, strict=True):
            budget.settled(claim, lease, now)

    def _lose(self, error: UnavailableError) -> None:
        if not self._away:
            self._away = True
            SHARED.set(0)
            log.warning("limits.not_shared", error=str(error))


def _batches(budgets: list[Budget]) -> list[list[Budget]]:
    return [budgets[at : at + SETTLED_AT_ONCE] for at in range(0, len(budgets), SETTLED_AT_ONCE)]


def _too_many(wait: int) -> TooManyRequestsError:
    return TooManyRequestsError("Too many requests.", retry_after_s=wait / NANOSECONDS)
