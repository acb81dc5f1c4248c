"""What a host knows of a zone's NPCs, whatever order, gaps and repetitions the messages have."""

from datetime import UTC, datetime

import pytest
from contracts.npcs import Environment, NpcFeed, NpcRecord
from hypothesis import given
from hypothesis import strategies as st
from sdk.feed import PART_BYTES, ZoneFeed

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def message(seq, *npcs, full=False, **more):
    return NpcFeed(zone_id="prontera", seq=seq, ts=NOW, full=full, npcs=npcs, **more)


def npc(npc_id, x=0.0):
    return NpcRecord(npc_id=npc_id, x=x)


def heard(*messages):
    feed = ZoneFeed("prontera")
    for one in messages:
        feed.hear(one)
    return feed


FULL = message(5, npc("guard"), npc("smith"), full=True, environment=Environment(weather="rain"))


@pytest.mark.parametrize(
    ("messages", "known", "wanting"),
    [
        ([], {}, True),
        ([message(1, npc("guard"))], {}, True),
        ([FULL], {"guard": 0, "smith": 0}, False),
        ([FULL, message(6, npc("guard", 3))], {"guard": 3, "smith": 0}, False),
        ([FULL, message(6, removed=("smith",))], {"guard": 0}, False),
        ([FULL, message(5, npc("guard", 3))], {"guard": 0, "smith": 0}, False),
        ([FULL, message(4, full=True)], {"guard": 0, "smith": 0}, False),
        ([FULL, message(7, npc("guard", 3))], {"guard": 0, "smith": 0}, True),
        ([FULL, message(7), message(8, npc("guard", 3))], {"guard": 0, "smith": 0}, True),
        ([FULL, message(7), message(4, npc("wolf"), full=True)], {"wolf": 0}, False),
        ([FULL, message(9, npc("wolf"), full=True)], {"wolf": 0}, False),
    ],
)
def test_what_is_known_follows_the_messages(messages, known, wanting):
    feed = heard(*messages)
    assert ({npc_id: record.x for npc_id, record in feed.npcs.items()}, feed.wanting) == (known, wanting)


def test_the_environment_stays_until_another_is_told():
    feed = heard(FULL, message(6), message(7, stale=True))
    (whole,) = [NpcFeed.model_validate_json(text) for text in feed.whole()]
    assert (whole.environment, whole.stale, whole.seq) == (Environment(weather="rain"), True, 7)


def test_nothing_is_told_while_something_is_missing():
    assert heard(FULL, message(7)).whole() == ()


@given(st.lists(st.sampled_from(["a", "ä", "\n"]), max_size=600))
def test_whoever_hears_the_whole_knows_the_same_and_follows_on(letters):
    npcs = [NpcRecord(npc_id=f"npc-{index}", name=letter * 200) for index, letter in enumerate(letters)]
    feed = heard(message(1000, *npcs, full=True, environment=Environment(weather="rain")))
    parts = [NpcFeed.model_validate_json(text) for text in feed.whole()]
    late = heard(*parts)
    assert (late.npcs, late.wanting) == (feed.npcs, False)
    assert late.hear(message(1001, npc("guard")))
    assert all(len(text.encode()) < PART_BYTES + 1024 for text in feed.whole())
