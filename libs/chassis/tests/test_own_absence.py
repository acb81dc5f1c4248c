"""Nobody is lost for our own absence."""

from datetime import timedelta

import pytest
from chassis.own_absence import NEVER, STALLED_AFTER, OwnAbsence
from testkit.clock import ManualClock

SECOND = timedelta(seconds=1)
SILENCE = timedelta(seconds=20)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


class Line:
    """A connection that can be cut."""

    def __init__(self) -> None:
        self.up = True


def listening(clock: ManualClock) -> tuple[OwnAbsence, Line]:
    line = Line()
    return OwnAbsence(clock, lambda: line.up), line


def test_deadlines_count_from_the_start(clock: ManualClock) -> None:
    started = clock.now()
    own_absence, _ = listening(clock)
    clock.advance(SECOND)
    assert own_absence.check()
    assert own_absence.since == started


def test_a_lost_connection_starts_every_deadline_anew(clock: ManualClock) -> None:
    own_absence, line = listening(clock)
    line.up = False
    cut = clock.advance(SECOND)
    assert not own_absence.check()
    line.up = True
    clock.advance(SECOND)
    assert own_absence.check()
    assert own_absence.since == cut


def test_a_process_that_stood_still_has_heard_nothing(clock: ManualClock) -> None:
    own_absence, _ = listening(clock)
    woken = clock.advance(STALLED_AFTER + SECOND)
    assert own_absence.check()
    assert own_absence.since == woken


def test_what_is_in_doubt_counts_from_the_next_look(clock: ManualClock) -> None:
    own_absence, _ = listening(clock)
    own_absence.doubt()
    looked = clock.advance(SECOND)
    assert own_absence.check()
    clock.advance(SECOND)
    assert own_absence.check()
    assert own_absence.since == looked


def test_no_beat_is_stale_right_after_an_absence(clock: ManualClock) -> None:
    own_absence, _ = listening(clock)
    clock.advance(SILENCE - SECOND)
    assert own_absence.stale_before(SILENCE) == NEVER


def test_beats_are_stale_again_when_we_have_heard_for_long_enough(clock: ManualClock) -> None:
    own_absence, _ = listening(clock)
    started = clock.now()
    clock.advance(SILENCE)
    assert own_absence.stale_before(SILENCE) == started
