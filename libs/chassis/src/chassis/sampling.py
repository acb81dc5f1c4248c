"""Which traces are kept: decided once, where a message enters the suite; everything below follows."""

import random
import time
from collections.abc import Callable, Mapping
from typing import Protocol


class Policy(Protocol):
    """Answers, for one arriving message, whether its trace is kept."""

    def admits(self) -> bool: ...


class Rate:
    """Keep this fraction: 0 none, 1 all."""

    def __init__(self, fraction: float, *, chance: Callable[[], float] = random.random) -> None:
        self._fraction = fraction
        self._chance = chance

    def admits(self) -> bool:
        return self._chance() < self._fraction


ALWAYS: Policy = Rate(1.0)
NEVER: Policy = Rate(0.0)


class UpTo:
    """Keep all up to `per_second`, of the rest the fraction `then`."""

    def __init__(
        self,
        per_second: float,
        *,
        then: float = 0.0,
        chance: Callable[[], float] = random.random,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._per_second = per_second
        self._rest = Rate(then, chance=chance)
        self._monotonic = monotonic
        self._left = per_second
        self._filled_at = monotonic()

    def admits(self) -> bool:
        now = self._monotonic()
        self._left = min(self._per_second, self._left + (now - self._filled_at) * self._per_second)
        self._filled_at = now
        if self._left < 1:
            return self._rest.admits()
        self._left -= 1
        return True


class Sampling:
    """The policies of one edge, by kind of message."""

    def __init__(
        self,
        policies: Mapping[str, Policy],
        *,
        otherwise: Policy = NEVER,
        incoming: Policy | None = None,
        refused: Policy | None = None,
    ) -> None:
        self._policies = policies
        self._otherwise = otherwise
        self._incoming = incoming or UpTo(100)
        self._refused = refused or UpTo(20)

    def keeps(self, kind: str) -> bool:
        """Whether a message of `kind` that brought no trace begins one that is kept."""
        return self._policies.get(kind, self._otherwise).admits()

    def keeps_incoming(self) -> bool:
        """Whether a trace that the client says is sampled is kept: honoured, but not without bound."""
        return self._incoming.admits()

    def keeps_refused(self) -> bool:
        """Whether a message that was not sampled gets a span of its own after all, because it was refused."""
        return self._refused.admits()
