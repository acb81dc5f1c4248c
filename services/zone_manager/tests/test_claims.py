"""What has been asked of hosts since they were counted."""

from zone_manager.claims import REMEMBERED_S, ClaimBook
from zone_manager.placement import NO_CLAIMS, Claims


class Stopwatch:
    def __init__(self) -> None:
        self.seconds = 100.0

    def now(self) -> float:
        return self.seconds


def test_a_claim_without_an_answer_yet_is_unseen_by_every_count():
    claims = ClaimBook(Stopwatch().now)
    with claims.claim("a", seats=2), claims.claim("a", seats=1):
        assert claims.unseen("a", counted_at=100.0) == Claims(slots=2, seats=3)
        assert claims.unseen("b", counted_at=100.0) == NO_CLAIMS


def test_an_answered_claim_is_seen_by_counts_begun_after_the_answer():
    watch = Stopwatch()
    claims = ClaimBook(watch.now)
    with claims.claim("a", seats=2):
        watch.seconds = 100.2
    assert claims.unseen("a", counted_at=100.1) == Claims(slots=1, seats=2)
    assert claims.unseen("a", counted_at=100.3) == NO_CLAIMS


def test_claims_are_forgotten_when_no_count_can_be_that_old():
    watch = Stopwatch()
    claims = ClaimBook(watch.now)
    with claims.claim("a", seats=2):
        pass
    watch.seconds += REMEMBERED_S + 0.1
    with claims.claim("b", seats=1):
        pass
    assert claims.unseen("a", counted_at=0.0) == NO_CLAIMS
    assert claims.unseen("b", counted_at=0.0) == Claims(slots=1, seats=1)
