"""Why hosts do not serve a zone, counted and in words."""

import pytest
from contracts.hosts import HostStatus, Rejection
from zone_manager.reasons import rejection_counts, why_nobody, why_not

from services.zone_manager.tests.examples import candidate, zone

PRONTERA = zone(min_host_quality_score=40, min_bandwidth_mbps=100, max_latency_ms=100, regions=("eu", "us"))


def test_a_host_with_two_reasons_counts_twice():
    listed = [candidate("a", Rejection.NOT_ONLINE, Rejection.HOST_FULL), candidate("b")]
    counts = rejection_counts(listed, {Rejection.NOT_ONLINE: 4, Rejection.SCORE_TOO_LOW: 2})
    assert counts == {Rejection.NOT_ONLINE: 5, Rejection.HOST_FULL: 1, Rejection.SCORE_TOO_LOW: 2}


@pytest.mark.parametrize(
    "counts, taken, sentence",
    [
        ({}, False, "No host can serve prontera: none is registered."),
        ({}, True, "Others were quicker at every host that could serve prontera; try again."),
        (
            {Rejection.NO_ZONE_SLOT: 1, Rejection.NOT_ONLINE: 3},
            False,
            "No host can serve prontera now; of those known, 3 not online, 1 without a free zone slot.",
        ),
    ],
)
def test_why_nobody_serves_a_zone_is_said_in_one_sentence(counts: dict[Rejection, int], taken: bool, sentence: str):
    assert why_nobody(PRONTERA, counts, taken=taken) == sentence


def test_why_a_host_does_not_serve_a_zone_is_said_with_its_figures():
    weak = candidate(
        "host-1", Rejection.SCORE_TOO_LOW, Rejection.NO_ZONE_SLOT, quality_score=31.5, max_zones=2, slots_taken=2
    )
    assert why_not(PRONTERA, weak) == (
        "Host host-1 cannot serve prontera now: its score is 31.5, the zone asks for 40; "
        "2 of its 2 zone slots are taken."
    )


@pytest.mark.parametrize("rejection", list(Rejection))
def test_every_rejection_has_words(rejection: Rejection):
    silent = candidate("host-1", rejection, status=HostStatus.SUSPECT, latency_ms=150, region="asia")
    for sentence in (why_not(PRONTERA, silent), why_nobody(PRONTERA, {rejection: 2}, taken=False)):
        assert "{" not in sentence
        assert "None" not in sentence
