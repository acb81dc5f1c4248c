"""What has been asked of hosts since they were counted."""

from zone_manager.pending import REMEMBERED_S, PendingBook
from zone_manager.placement import NOTHING_PENDING, Pending


class Stopwatch:
    def __init__(self) -> None:
        self.seconds = 100.0

    def now(self) -> float:
        return self.seconds


def test_a_claim_without_an_answer_yet_is_unseen_by_every_count():
    requests = PendingBook(Stopwatch().now)
    with requests.asking("a", seats=2), requests.asking("a", seats=1):
        assert requests.unseen("a", counted_at=100.0) == Pending(slots=2, seats=3)
        assert requests.unseen("b", counted_at=100.0) == NOTHING_PENDING


def test_an_answered_claim_is_seen_by_counts_begun_after_the_answer():
    watch = Stopwatch()
    requests = PendingBook(watch.now)
    with requests.asking("a", seats=2):
        watch.seconds = 100.2
    assert requests.unseen("a", counted_at=100.1) == Pending(slots=1, seats=2)
    assert requests.unseen("a", counted_at=100.3) == NOTHING_PENDING


def test_claims_are_forgotten_when_no_count_can_be_that_old():
    watch = Stopwatch()
    requests = PendingBook(watch.now)
    with requests.asking("a", seats=2):
        pass
    watch.seconds += REMEMBERED_S + 0.1
    with requests.asking("b", seats=1):
        pass
    assert requests.unseen("a", counted_at=0.0) == NOTHING_PENDING
    assert requests.unseen("b", counted_at=0.0) == Pending(slots=1, seats=1)
