"""What players' words are worth, as a table."""

from datetime import UTC, datetime, timedelta

import pytest
from host_registry.agreement import LATELY, Case, Verdict, Word, judge

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
LONG_AGO = NOON - timedelta(hours=1)


def lost(player_id: str, ago: timedelta = SECOND) -> Word:
    return Word(player_id, lost=True, told_at=NOON - ago)


def stands(player_id: str, ago: timedelta = SECOND) -> Word:
    return Word(player_id, lost=False, told_at=NOON - ago)


def case(*words: Word, gone: bool = False, beaten_ago: timedelta = 5 * SECOND, seats: int = 8) -> Case:
    return Case(NOON - SECOND if gone else None, NOON - beaten_ago, seats, words)


TWO, MOST = (lost("a"), lost("b")), tuple(lost(name) for name in "abcde")


@pytest.mark.parametrize(
    ("about", "verdict"),
    [
        pytest.param(case(gone=True), None, id="a closed socket alone has its deadline"),
        pytest.param(case(lost("a"), gone=True), None, id="one of many may have a bad line"),
        pytest.param(case(*TWO, gone=True), Verdict.OFFLINE, id="two and the socket"),
        pytest.param(case(lost("a"), gone=True, seats=1), Verdict.OFFLINE, id="the only player and the socket"),
        pytest.param(case(lost("a"), gone=True, seats=0), Verdict.OFFLINE, id="a player whose seat is not counted yet"),
        pytest.param(case(gone=True, seats=0), None, id="nobody's word is no word"),
        pytest.param(case(*TWO, gone=True, beaten_ago=0 * SECOND), None, id="it has beaten since its socket closed"),
        pytest.param(case(*TWO, stands("c", 0 * SECOND), gone=True), None, id="another hears it since"),
        pytest.param(case(*TWO, stands("c", 2 * SECOND), gone=True), Verdict.OFFLINE, id="another heard it before"),
        pytest.param(case(lost("a", 3 * SECOND), stands("c", 2 * SECOND), lost("b"), gone=True), None, id="one since"),
        pytest.param(case(lost("a", LATELY + SECOND), lost("b"), gone=True), None, id="long ago is another matter"),
        pytest.param(case(*TWO), None, id="two of eight alone say nothing"),
        pytest.param(case(*MOST), Verdict.SUSPECT, id="most of its players make a suspect"),
        pytest.param(case(*MOST, beaten_ago=0 * SECOND), Verdict.SUSPECT, id="however it beats"),
        pytest.param(case(*MOST[:4]), None, id="half of them are not most"),
        pytest.param(case(lost("a"), seats=1), None, id="the only player may have a bad line"),
    ],
)
def test_players_words_beside_socket_and_beats(about: Case, verdict: Verdict | None) -> None:
    assert judge(about, LONG_AGO, NOON) is verdict


def test_what_was_told_before_we_could_hear_counts_for_nothing() -> None:
    told = case(*TWO, gone=True)
    assert judge(told, NOON - SECOND, NOON) is Verdict.OFFLINE
    assert judge(told, NOON - SECOND / 2, NOON) is None
