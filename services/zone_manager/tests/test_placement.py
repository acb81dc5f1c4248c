"""Which host serves a session best."""

from typing import Any

import pytest
from contracts.hosts import Rejection
from hypothesis import given
from hypothesis import strategies as st
from zone_manager.placement import NO_CLAIMS, Claims, Standing, able, best, judgement, ranked

from services.zone_manager.tests.examples import PARTS, candidate, zone

PRONTERA = zone(max_latency_ms=100)


def standing(host_id: str, round_trip_ms: float | None = None, **fields: Any) -> Standing:
    return Standing(candidate(host_id, **fields), round_trip_ms)


@pytest.mark.parametrize(
    "why, better, worse",
    [
        (
            "connected, whatever else",
            standing("b", None, quality_score=50, connected=True),
            standing("a", 20, quality_score=90, confidence=1, connected=False),
        ),
        ("nearer to the players", standing("b", 20, quality_score=50), standing("a", 30, quality_score=90)),
        ("known to be near", standing("b", 90), standing("a", None, quality_score=90, confidence=1)),
        ("not known to be too far", standing("b", None), standing("a", 120, quality_score=90, confidence=1)),
        (
            "good beyond doubt",
            standing("b", quality_score=70, confidence=1),
            standing("a", quality_score=90, confidence=0.3),
        ),
        ("better as far as one knows", standing("b", quality_score=80), standing("a", quality_score=75)),
        ("more seats free", standing("b", seats_taken=3), standing("a", seats_taken=4)),
        ("more slots free", standing("b", slots_taken=1), standing("a", slots_taken=2)),
        ("first by its id", standing("a"), standing("b")),
    ],
)
def test_the_better_host_is_the_one_that_is(why: str, better: Standing, worse: Standing):
    assert ranked(PRONTERA, [worse, better]) == [better, worse]


@pytest.mark.parametrize(
    "why, claims, chosen",
    [
        ("nobody else is being placed", {}, "a"),
        ("the first has a claim on it: the second has more room", {"a": Claims(slots=1, seats=1)}, "b"),
        ("both have one", {"a": Claims(1, 1), "b": Claims(1, 1)}, "a"),
    ],
)
def test_equal_hosts_take_turns(why: str, claims: dict[str, Claims], chosen: str):
    standings = [standing("a"), standing("b")]
    assert best(PRONTERA, standings, lambda host_id: claims.get(host_id, NO_CLAIMS)).host_id == chosen


def test_a_better_host_is_chosen_until_its_last_slot_is_claimed():
    standings = [standing("good", quality_score=95, max_zones=3), standing("fair", quality_score=60)]
    claimed = [Claims(slots=count) for count in range(4)]
    chosen = [best(PRONTERA, standings, {"good": on, "fair": NO_CLAIMS}.__getitem__).host_id for on in claimed]
    assert chosen == ["good", "good", "good", "fair"]


def test_a_host_whose_last_slot_is_claimed_is_still_asked_when_there_is_no_other():
    only = standing("only", max_zones=1)
    assert best(PRONTERA, [only], lambda _: Claims(slots=1)) is only


standings = st.lists(
    st.builds(
        lambda number, score, confidence, seats, connected, round_trip: standing(
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
    unique_by=lambda standing: standing.host_id,
)


@given(standings, st.randoms())
def test_the_order_does_not_depend_on_who_is_looked_at_first(standings: list[Standing], random: Any):
    shuffled = list(standings)
    random.shuffle(shuffled)
    assert ranked(PRONTERA, shuffled) == ranked(PRONTERA, standings)


@given(standings)
def test_without_claims_the_best_is_the_first_of_the_ranking(standings: list[Standing]):
    order = ranked(PRONTERA, standings)
    assert best(PRONTERA, order, lambda _: NO_CLAIMS) is order[0]


@given(standings, st.lists(st.integers(0, 6), min_size=20, max_size=20))
def test_with_claims_the_best_is_the_one_that_stands_best_with_them(standings: list[Standing], counts: list[int]):
    order = ranked(PRONTERA, standings)
    claims = {
        standing.host_id: Claims(count, count) if count else NO_CLAIMS
        for standing, count in zip(order, counts, strict=False)
    }

    def with_claims(standing: Standing) -> tuple[object, ...]:
        on = claims[standing.host_id]
        return on.slots >= standing.slots_free, standing.rank(PRONTERA, on)

    assert best(PRONTERA, order, claims.__getitem__) is min(order, key=with_claims)


def test_a_host_that_anything_speaks_against_is_not_able():
    fit, unfit = candidate("fit"), candidate("unfit", Rejection.BEAT_STALE)
    assert [standing.candidate for standing in able([unfit, fit])] == [fit]


def test_a_judgement_says_how_the_host_stands():
    judged = judgement(standing("host-1", seats_taken=8, slots_taken=2, confidence=0.3), chosen=True)
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
