"""Use case: what sessions do is counted for their zone, each fact once, in whatever order and however often it comes.

A fact is known by its session and its revision, and what it adds does not depend on the ones before it. Facts that
arrive together are written together.
"""

from datetime import timedelta
from typing import NamedTuple, Protocol

from chassis.consumer import Delivery
from chassis.single_flight import SingleFlight
from contracts.sessions import SessionFact

KEPT = timedelta(days=8)
"""A day longer than the stream of events: an older fact can't come again."""


class Counted(NamedTuple):
    """What one fact adds to its zone's tallies."""

    session_id: str
    revision: int
    zone_id: str
    sessions: int
    active: int
    served: int
    over: bool


class Tallies(Protocol):
    """Where they are kept."""

    async def add(self, counted: list[Counted]) -> None: ...


def counted(what: str, fact: SessionFact) -> Counted:
    """Say what a fact adds, from the last word of its subject."""
    over = what in {"ended", "failed"}
    return Counted(
        session_id=fact.session_id,
        revision=fact.revision,
        zone_id=fact.session.zone_id,
        sessions=int(what == "created"),
        active=int(what == "created") - int(over),
        # Whoever was there when the session began was served, and whoever came later.
        served=len(fact.players_joined) if what in {"created", "joined"} else 0,
        over=over,
    )


class Tallying:
    """Keeps zones' tallies true."""

    def __init__(self, tallies: Tallies) -> None:
        self._tallies = tallies
        self._waiting: list[Counted] = []
        self._writes = SingleFlight(self._write)

    async def session_changed(self, fact: SessionFact, delivery: Delivery) -> None:
        """Count a fact; done when it is stored."""
        self._waiting.append(counted(delivery.subject.rpartition(".")[2], fact))
        await self._writes.ask(None)

    async def _write(self, _key: None, _askers: int) -> None:
        batch, self._waiting = self._waiting, []
        await self._tallies.add(batch)
