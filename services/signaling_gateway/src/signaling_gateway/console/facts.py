"""Facts as they happen, heard only while somebody watches: counted by owner, the newest told in a line each.

A flood is not followed: what comes between two looks beyond `MOST_WAITING` is counted and not read.
"""

from collections import Counter, deque
from collections.abc import Mapping
from typing import Any

import orjson
from chassis import tracing
from chassis.bus import Bus
from contracts.identifiers import from_token
from contracts.streams import EVENTS
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

MOST_WAITING = 100
"""Between two looks, four a second: more nobody reads."""

MOST_REMEMBERED = 200
"""What a console that opens is told of what was before."""

MOST_PLAYERS = 8
"""Named in one line; of the others it says how many."""

UNTOLD = frozenset({"active"})
"""A gateway's word that sessions live, every 30 s: counted, but no event to anybody."""

Line = dict[str, Any]

_OWNER, _THING, _WHAT = 2, 3, 4
"""The tokens of p2p.events.<owner>.<id>.<what>."""

_TOLD = ("reason", "peer_id", "session_id", "host_id", "state", "candidate_type", "elapsed_ms", "quality_score", "job")


class Facts:
    """Hears, counts and remembers."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._subscriptions: list[Subscription] = []
        self._waiting: deque[Msg] = deque(maxlen=MOST_WAITING)
        self._lines: deque[tuple[int, Line]] = deque(maxlen=MOST_REMEMBERED)
        self._number = 0
        self._counts: Counter[str] = Counter()
        self.touched: set[str] = set()
        """Owners whose things have changed since somebody emptied this."""

    @property
    def counts(self) -> Mapping[str, int]:
        """How many were heard, by owner."""
        return self._counts

    async def listen(self) -> None:
        """Begin to hear, if it hasn't begun."""
        if not self._subscriptions:
            # Straight from their publishers: nothing is to be acknowledged, and what is missed is history's to tell.
            self._subscriptions = [await self._bus.subscribe_raw(subject, self._hear) for subject in EVENTS.subjects]

    async def rest(self) -> None:
        """Hear no more."""
        while self._subscriptions:
            await self._subscriptions.pop().unsubscribe()

    async def _hear(self, msg: Msg) -> None:
        owner, what = msg.subject.split(".")[_OWNER], msg.subject.rpartition(".")[2]
        self._counts[owner] += 1
        self.touched.add(owner)
        if what not in UNTOLD:
            self._number += 1
            self._waiting.append(msg)

    def read(self) -> int:
        """Read what has come, and give the number of the newest."""
        first = self._number - len(self._waiting) + 1
        for number, msg in enumerate(self._waiting, first):
            if (line := line_of(msg)) is not None:
                self._lines.append((number, line))
        self._waiting.clear()
        return self._number

    def since(self, number: int) -> bytes:
        """Tell what came after that number, and how many of it are not told."""
        lines = [line for at, line in self._lines if at > number]
        skipped = self._number - number - len(lines) if number else 0
        return orjson.dumps({"lines": lines, "skipped": max(0, skipped)})


def line_of(msg: Msg) -> Line | None:
    """What a fact comes to for a reader; None for what is no fact."""
    tokens = msg.subject.split(".")
    try:
        body = orjson.loads(msg.data)
        thing, what = from_token(tokens[_THING]), ".".join(tokens[_WHAT:])
    except (ValueError, IndexError):
        return None
    if not isinstance(body, dict):
        return None
    line = {"owner": tokens[_OWNER], "thing": thing, "what": what, "id": body.get("event_id")}
    line |= {"at": body.get("occurred_at"), "trace_id": _trace_of(msg)}
    line |= {name: body[name] for name in _TOLD if body.get(name) is not None}
    for name in ("players_joined", "players_left"):
        if players := body.get(name):
            line[name], line[f"{name}_count"] = players[:MOST_PLAYERS], len(players)
    if isinstance(session := body.get("session"), dict):
        line |= {name: session.get(name) for name in ("zone_id", "host_id", "epoch", "current_players")}
    if isinstance(host := body.get("host"), dict):
        line |= {name: host.get(name) for name in ("region", "status", "quality_score")}
    return line


def _trace_of(msg: Msg) -> str | None:
    parts = (msg.headers or {}).get(tracing.TRACEPARENT, "").split("-")
    return parts[1] if len(parts) > 1 else None
