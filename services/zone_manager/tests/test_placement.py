"""Which host serves a session best."""

from typing import Any

import pytest
from contracts.hosts import Rejection
from hypothesis import given
from hypothesis import strategies as st
from zone_manager.placement import NOTHING_PENDING, AbleHost, Pending, able, best, judgement, ranked

from services.zone_manager.tests.examples import PARTS, candidate, zone

PRONTERA = zone(max_latency_ms=100)


def able_host(host_id: str, round_trip_ms: float | None = None, **fields: Any) -> AbleHost:
    return AbleHost(candidate(host_id, **fields), round_trip_ms)


@pytest.mark.parametrize(
    "why, better, worse",
    [
        (
            "connected, whatever else",
            able_host("b", None, quality_score=50, connected=True),
            able_host("a", 20, quality_score=90, confidence=1, connected=False),
        ),
        ("nearer to the players", able_host("b", 20, quality_score=50), able_host("a", 30, quality_score=90)),
        ("known to be near", able_host("b", 90), able_host("a", None, quality_score=90, confidence=1)),
        ("not known to be too far", able_host("b", None), able_host("a", 120, quality_score=90, confidence=1)),
        (
            "good beyond doubt",
            able_host("b", quality_score=70, confidence=1),
            able_host("a", quality_score=90, confidence=0.3),
        ),
        ("better as far as one knows", able_host("b", quality_score=80), able_host("a", quality_score=75)),
        ("more seats free", able_host("b", seats_taken=3), able_host("a", seats_taken=4)),
        ("more slots free", able_host("b", slots_taken=1), able_host("a", slots_taken=2)),
        ("first by its id", able_host("a"), able_host("b")),
    ],
)
def test_the_better_host_is_the_one_that_is(why: str, better: AbleHost, worse: AbleHost):
    assert ranked(PRONTERA, [worse, better]) == [better, worse]


@pytest.mark.parametrize(
    "why, pending, chosen",
    [
        ("nobody else is being placed", {}, "a"),
        ("the first is being asked: the second has more room", {"a": Pending(slots=1, seats=1)}, "b"),
        ("both have one", {"a": Pending(1, 1), "b": Pending(1, 1)}, "a"),
    ],
)
def test_equal_hosts_take_turns(why: str, pending: dict[str, Pending], chosen: str):
    able_hosts = [able_host("a"), able_host("b")]
    assert best(PRONTERA, able_hosts, lambda host_id: pending.get(host_id, NOTHING_PENDING)).host_id == chosen


def test_a_better_host_is_chosen_until_its_last_slot_is_claimed():
    able_hosts = [able_host("good", quality_score=95, max_zones=3), able_host("fair", quality_score=60)]
    asked_for = [Pending(slots=count) for count in range(4)]
    chosen = [best(PRONTERA, able_hosts, {"good": on, "fair": NOTHING_PENDING}.__getitem__).host_id for on in asked_for]
    assert chosen == ["good", "good", "good", "fair"]


def test_a_host_whose_last_slot_is_claimed_is_still_asked_when_there_is_no_other():
    only = able_host("only", max_zones=1)
    assert best(PRONTERA, [only], lambda _: Pending(slots=1)) is only


able_hosts = st.lists(
    st.builds(
        lambda number, score, confidence, seats, connected, round_trip: able_host(
            f"host-{number}",
            round_trip,
            quality_score=score,
            confidence=confidence,
            seats_taken=seats,
            connected=connected,
        ),
        number=st.integers(0, 30),
        score=st.sampled_from([50.0, 75.0, 98.5]),
        confidence=st.sampled_from([0.0, 0.3, 1.0]),
        seats=st.integers(0, 50),
        connected=st.booleans(),
        round_trip=st.sampled_from([None, 10.0, 200.0]),
    ),
    min_size=1,
    max_size=20,
    unique_by=lambda able_host: able_host.host_id,
)


@given(able_hosts, st.randoms())
def test_the_order_does_not_depend_on_who_is_looked_at_first(able_hosts: list[AbleHost], random: Any):
    shuffled = list(able_hosts)
    random.shuffle(shuffled)
    assert ranked(PRONTERA, shuffled) == ranked(PRONTERA, able_hosts)


@given(able_hosts)
def test_without_claims_the_best_is_the_first_of_the_ranking(able_hosts: list[AbleHost]):
    order = ranked(PRONTERA, able_hosts)
    assert best(PRONTERA, order, lambda _: NOTHING_PENDING) is order[0]


@given(able_hosts, st.lists(st.integers(0, 6), min_size=20, max_size=20))
def test_with_pending_the_best_is_the_one_that_stands_best_with_them(able_hosts: list[AbleHost], counts: list[int]):
    order = ranked(PRONTERA, able_hosts)
    pending = {
        able_host.host_id: Pending(count, count) if count else NOTHING_PENDING
        for able_host, count in zip(order, counts, strict=False)
    }

    def with_pending(able_host: AbleHost) -> tuple[object, ...]:
        on = pending[able_host.host_id]
        return on.slots >= able_host.slots_free, able_host.rank(PRONTERA, on)

    assert best(PRONTERA, order, pending.__getitem__) is min(order, key=with_pending)


def test_a_host_that_anything_speaks_against_is_not_able():
    fit, unfit = candidate("fit"), candidate("unfit", Rejection.BEAT_STALE)
    assert [able_host.candidate for able_host in able([unfit, fit])] == [fit]


def test_a_judgement_says_how_the_host_stands():
    judged = judgement(able_host("host-1", seats_taken=8, slots_taken=2, confidence=0.3), chosen=True)
    assert judged.model_dump() == {
        "host_id": "host-1",
        "chosen": True,
        "rejections": (),
        "quality_score": 75.0,
        "confidence": 0.3,
        "score_parts": PARTS,
        "seats_free": 42,
        "slots_free": 3,
        "worst_round_trip_ms": None,
        "connected": False,
    }
