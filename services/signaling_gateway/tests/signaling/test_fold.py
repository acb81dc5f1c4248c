"""A feed put together: it knows everything or says that it does not, whatever was split or lost."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from signaling_gateway.npcs.fold import PART_BYTES, Fold

Npcs = dict[str, dict[str, Any]]


def npc(npc_id: str, x: float = 0, **fields: Any) -> dict[str, Any]:
    return {"npc_id": npc_id, "x": x, **fields}


def message(seq: int, *npcs: dict[str, Any], full: bool = False, **fields: Any) -> bytes:
    told = {"type": "npc-state", "zone_id": "prontera", "seq": seq, "ts": "2026-01-01T00:00:00Z", "full": full}
    return orjson.dumps({**told, "npcs": npcs, "removed": [], "stale": False, **fields})


def full(seq: int, *npcs: dict[str, Any], **fields: Any) -> bytes:
    return message(seq, *npcs, full=True, **fields)


@dataclass
class Client:
    """A peer that hears messages in order, as simply as that can be done; a gap is a mistake of its teller."""

    seq: int | None = None
    npcs: Npcs = field(default_factory=dict)
    environment: Any = None
    stale: bool = False

    def hear(self, body: bytes) -> None:
        told = orjson.loads(body)
        if told["full"]:
            self.npcs, self.environment = {}, None
        else:
            assert self.seq is not None
            assert told["seq"] == self.seq + 1
        self.npcs |= {npc["npc_id"]: npc for npc in told["npcs"]}
        for npc_id in told["removed"]:
            self.npcs.pop(npc_id, None)
        self.environment = told.get("environment", self.environment)
        self.seq, self.stale = told["seq"], told["stale"]


def newcomer(fold: Fold) -> Client:
    """Who has heard what the fold says of everything."""
    client = Client()
    for body in fold.whole():
        client.hear(body)
    return client


TAKEN = [
    ("a full message", [full(7)], [True]),
    ("nothing before a full message", [message(1), message(2), full(3), message(4)], [False, False, True, True]),
    ("a full message over any gap", [full(1), full(9), message(10)], [True, True, True]),
    (
        "nothing after a gap until a full message",
        [full(1), message(3), message(4), full(5)],
        [True, False, False, True],
    ),
    (
        "nothing of the deposed",
        [full(8), message(3), full(4), message(8), message(9)],
        [True, False, False, False, True],
    ),
    ("the parts of a full message", [full(1), message(2), message(3), full(4)], [True] * 4),
]


@pytest.mark.parametrize("_what, bodies, taken", TAKEN, ids=[what for what, *_ in TAKEN])
def test_it_takes(_what, bodies, taken):
    fold = Fold()
    assert [fold.hear(body) for body in bodies] == taken


def test_a_deposed_leaders_words_are_not_taken_for_a_gap():
    fold = Fold()
    fold.hear(full(8, npc("a")))
    fold.hear(message(3, npc("b")))
    assert (fold.wants_full, newcomer(fold).npcs) == (False, {"a": npc("a")})


def test_what_it_does_not_know_it_does_not_say():
    fold = Fold()
    assert (fold.wants_full, fold.whole()) == (True, [])
    fold.hear(full(1, npc("a")))
    fold.hear(message(3))
    assert (fold.wants_full, fold.whole()) == (True, [])


def test_beginning_anew_it_takes_lower_numbers():
    fold = Fold()
    fold.hear(full(100, npc("a")))
    fold.forget()
    assert fold.whole() == []
    assert [fold.hear(message(2)), fold.hear(full(3, npc("b"))), fold.hear(message(4))] == [False, True, True]
    assert newcomer(fold).npcs == {"b": npc("b")}


def test_environment_and_silence_are_told_as_they_were_last():
    fold = Fold()
    fold.hear(full(1, npc("a"), environment={"weather": "rain"}))
    fold.hear(message(2, npc("a", 1)))
    told = newcomer(fold)
    assert (told.environment, told.stale) == ({"weather": "rain"}, False)
    fold.hear(message(3, environment={"weather": "sun"}, stale=True))
    told = newcomer(fold)
    assert (told.environment, told.stale) == ({"weather": "sun"}, True)
    fold.hear(full(4))
    assert newcomer(fold) == Client(seq=4)


def test_a_zone_without_npcs_is_whole_too():
    fold = Fold()
    fold.hear(full(1))
    (body,) = fold.whole()
    assert orjson.loads(body) == orjson.loads(full(1))


@pytest.mark.parametrize("left_out", ["removed", "stale", "environment"])
def test_what_the_contract_lets_a_message_leave_out_may_be_missing(left_out):
    told = orjson.loads(full(1, npc("a")))
    told.pop(left_out, None)
    fold = Fold()
    assert fold.hear(orjson.dumps(told))
    assert newcomer(fold).npcs == {"a": npc("a")}


NO_MESSAGES = {
    "no JSON": b"npcs",
    "not UTF-8": b'{"seq": "\xff"}',
    "a list": b"[]",
    "a number": b"7",
    "null": b"null",
    "an empty object": b"{}",
    "a number that is text": full(2).replace(b'"seq":2', b'"seq":"2"'),
    "NPCs that are a number": full(2, npcs=7),
    "an NPC that is a number": full(2, npcs=[7]),
    "an NPC without its name": full(2, npcs=[npc("b"), {"x": 1}]),
    "an NPC with a list for a name": full(2, npcs=[{"npc_id": []}]),
    "removed that is a number": full(2, removed=7),
    "a removed list": full(2, npc("b"), removed=[[]]),
    "no zone": full(2, npc("b")).replace(b"zone_id", b"zone"),
    "no time": full(2, npc("b")).replace(b'"ts"', b'"at"'),
    "no NPCs": full(2).replace(b'"npcs"', b'"mobs"'),
}


@pytest.mark.parametrize("body", NO_MESSAGES.values(), ids=NO_MESSAGES.keys())
def test_what_is_no_message_of_the_feed_changes_nothing(body):
    fold = Fold()
    fold.hear(full(1, npc("a"), environment={"weather": "rain"}))
    with pytest.raises((orjson.JSONDecodeError, KeyError, TypeError)):
        fold.hear(body)
    assert newcomer(fold) == Client(1, {"a": npc("a")}, {"weather": "rain"})
    assert fold.hear(message(2, npc("b")))
    assert newcomer(fold).npcs.keys() == {"a", "b"}


def test_everything_comes_in_messages_that_fit_a_data_channel():
    fold = Fold()
    fold.hear(full(1000, environment={"weather": "rain"}))
    for index in range(100):
        fold.hear(message(1001 + index, npc(f"npc-{index}", name="é" * 1000)))
    bodies = fold.whole()
    assert len(bodies) > 1
    assert max(map(len, bodies)) < PART_BYTES + 2_000
    told = newcomer(fold)
    assert (told.seq, len(told.npcs), told.environment) == (1100, 100, {"weather": "rain"})
    assert [orjson.loads(body)["full"] for body in bodies] == [True] + [False] * (len(bodies) - 1)


NAMES = st.sampled_from(["a", "b", "c", "1@tower", "gef fild.07", "ä%20*>"])
SAID = st.tuples(
    st.dictionaries(NAMES, st.integers(0, 9), max_size=4),
    st.sets(NAMES, max_size=3),
    st.none() | st.sampled_from(["rain", "sun"]),
    st.booleans(),
)


@dataclass
class World:
    """The AI world and its leader, who tells everything or what changed, in one message or in several."""

    seq: int = 0
    npcs: Npcs = field(default_factory=dict)
    environment: Any = None
    stale: bool = False

    def change(self, moved: dict[str, int], removed: set[str], weather: str | None) -> tuple[Npcs, list[str]]:
        changed = {name: npc(name, x) for name, x in moved.items()}
        gone = sorted(removed - changed.keys())
        self.npcs |= changed
        for name in gone:
            self.npcs.pop(name, None)
        if weather is not None:
            self.environment = {"weather": weather}
        return changed, gone

    def tell(self, npcs: Npcs, removed: list[str], parts: int, *, full: bool) -> Iterator[bytes]:
        named = list(npcs.values())
        size = max(1, -(-len(named) // parts))
        for first in range(0, max(1, len(named)), size):
            self.seq += 1
            head = {} if first or self.environment is None else {"environment": self.environment}
            whole = full and not first
            gone = removed if not first else []
            yield message(self.seq, *named[first : first + size], full=whole, removed=gone, stale=self.stale, **head)


@given(st.lists(st.tuples(SAID, st.booleans(), st.integers(1, 3), st.lists(st.booleans(), min_size=3, max_size=3))))
def test_whatever_is_split_and_lost_a_fold_that_says_it_is_whole_is_the_world(steps):
    world, fold, old_hand = World(), Fold(), Client()
    for (moved, removed, weather, world.stale), is_full, parts, lost in steps:
        changed, gone = world.change(moved, removed, weather)
        told = list(world.tell(world.npcs if is_full else changed, [] if is_full else gone, parts, full=is_full))
        for body, is_lost in zip(told, lost, strict=False):
            if is_lost:
                continue
            if fold.hear(body):
                old_hand.hear(body)
            if not fold.wants_full:
                assert newcomer(fold) == old_hand
        if not fold.wants_full and old_hand.seq == world.seq:
            assert newcomer(fold) == Client(world.seq, world.npcs, world.environment, world.stale)
