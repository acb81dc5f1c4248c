"""Offers of players here that their session's host has not answered yet: who waits too long has no connection.

A player that connects, or finds that it cannot, says so itself; one whose host never answers may say nothing at all.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

_ANSWER = b'{"type":"answer"'
"""How an answer begins that another gateway has written."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What a player waits for an answer to."""

    peer_id: str
    session_id: str
    to: str
    seat: object
    made_at: float


class Unanswered:
    """The first of each player's offers to its present host."""

    def __init__(self, within: timedelta, now: Callable[[], float]) -> None:
        self._within_s = within.total_seconds()
        self._now = now
        self._offers: dict[str, Offer] = {}

    def offered(self, peer_id: str, session_id: str, to: str, seat: object) -> None:
        """An offer repeated is the same wait; one from another `seat`, by who came back, is not."""
        waiting = self._offers.get(peer_id)
        if waiting is None or (waiting.session_id, waiting.to, waiting.seat) != (session_id, to, seat):
            self._offers[peer_id] = Offer(peer_id, session_id, to, seat, self._now())

    def received(self, peer_id: str, frame: bytes) -> None:
        """What came for the player may be the answer."""
        if self._offers and frame.startswith(_ANSWER):
            self._offers.pop(peer_id, None)

    def settled(self, peer_id: str) -> None:
        """The player said itself how it came out."""
        self._offers.pop(peer_id, None)

    def overdue(self) -> Iterator[tuple[Offer, timedelta]]:
        """Those whose time is up, each once, and for how long they have waited."""
        now = self._now()
        for offer in [offer for offer in self._offers.values() if now - offer.made_at >= self._within_s]:
            del self._offers[offer.peer_id]
            yield offer, timedelta(seconds=now - offer.made_at)
