"""Limits, as the doors use them: one call for a request, one for a socket that opens, one for each frame."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from chassis.health import Health
from chassis.loops import every
from chassis.redis import TracedRedis
from prometheus_client import Counter

from signaling_gateway.access.identity import ANYBODY, Identity
from signaling_gateway.background import in_background
from signaling_gateway.limits.budgets import Budgets
from signaling_gateway.limits.errors import TooManyRequestsError
from signaling_gateway.limits.flow import Flow
from signaling_gateway.limits.rates import UNCOUNTED, Rates, budget_of, site_of
from signaling_gateway.limits.shares import Shares

LOOK_EVERY = timedelta(seconds=2)
"""How often debts are settled: what they may come to is bounded anyway, and to tell one costs as much as two checks."""

EXCEEDED = Counter("p2p_limits_exceeded", "What was refused because there was too much of it.", ["what"])
MESSAGES = EXCEEDED.labels("messages")

NOT_SHARED = "Limits hold for this gateway alone: Redis is away."


class Turnstile:
    """Counts whoever comes through."""

    def __init__(self, rates: Rates, budgets: Budgets) -> None:
        self._rates = rates
        self._budgets = budgets

    async def request(self, kind: str, identity: Identity, address: str) -> None:
        """Let a request in; TooManyRequestsError when its sender has none left."""
        allowance = self._rates.requests.get(identity.role)
        if allowance is None or kind in UNCOUNTED:
            return
        try:
            await self._budgets.take(budget_of(identity, address), allowance)
        except TooManyRequestsError:
            EXCEEDED.labels(identity.role.value).inc()
            raise

    async def failure(self, address: str) -> None:
        """Count it against an address that who they said they are was no good."""
        with suppress(TooManyRequestsError):
            await self.request("", ANYBODY, address)

    async def connect(self, address: str) -> None:
        """Let a socket be opened; TooManyRequestsError when its address has opened too many."""
        if self._rates.connects is None:
            return
        try:
            await self._budgets.take(f"connects:{site_of(address)}", self._rates.connects)
        except TooManyRequestsError:
            EXCEEDED.labels("connects").inc()
            raise

    def flow(self) -> Flow | None:
        """Begin counting a socket's frames, if they are limited."""
        return Flow(self._rates.messages, time.monotonic_ns) if self._rates.messages is not None else None


@asynccontextmanager
async def open_turnstile(
    *, redis: TracedRedis, health: Health, rates: Rates, patience: timedelta
) -> AsyncIterator[Turnstile]:
    """Count, with the other gateways while Redis is there, until the block ends."""
    async with in_background() as background:
        budgets = Budgets(Shares(redis), background, time.monotonic_ns, patience.total_seconds())
        health.note(lambda: None if budgets.shared else NOT_SHARED)
        async with every(LOOK_EVERY, budgets.look, "limits"):
            yield Turnstile(rates, budgets)
