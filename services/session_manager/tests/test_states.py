import pytest
from contracts.identifiers import HostId, SessionId
from contracts.sessions import SessionStatus
from session_manager.errors import WrongStateError
from session_manager.sessions import LIVE, NEXT, SessionState, activates, moves

PENDING, ACTIVE, PAUSED, MIGRATING, FALLBACK, ENDED, FAILED = SessionStatus

ALLOWED = {
    PENDING: {ACTIVE, ENDED, FAILED},
    ACTIVE: {MIGRATING, FALLBACK, ENDED, FAILED},
    MIGRATING: {ACTIVE, FALLBACK, ENDED, FAILED},
    FALLBACK: {MIGRATING, ENDED, FAILED},
    PAUSED: set(),
    ENDED: set(),
    FAILED: set(),
}
"""The wire contract's sentence on states, written out."""


def a_session(status):
    return SessionState(1, SessionId("session-0000000000000001"), status, 1, 0, 10, HostId("host-1"), 0, 10)


@pytest.mark.parametrize("status", SessionStatus)
@pytest.mark.parametrize("target", SessionStatus)
def test_a_session_goes_where_the_contract_lets_it_and_nowhere_else(status, target):
    if status is target:
        assert moves(a_session(status), target) is False
    elif target in ALLOWED[status]:
        assert moves(a_session(status), target) is True
    else:
        with pytest.raises(WrongStateError):
            moves(a_session(status), target)


def test_every_status_has_its_place_in_the_table():
    assert set(NEXT) == set(SessionStatus)


def test_no_session_is_ever_paused():
    assert not any(PAUSED in following for following in NEXT.values())


def test_a_session_lives_until_it_has_ended_or_failed():
    assert {PENDING, ACTIVE, MIGRATING, FALLBACK} == LIVE


@pytest.mark.parametrize(
    ("status", "has_anything_to_do"),
    [(PENDING, True), (ACTIVE, False)],
)
def test_activating_makes_a_pending_session_active_and_leaves_an_active_one_as_it_is(status, has_anything_to_do):
    assert activates(a_session(status)) is has_anything_to_do


@pytest.mark.parametrize("status", [PAUSED, MIGRATING, FALLBACK, ENDED, FAILED])
def test_no_other_session_can_be_activated_by_request(status):
    with pytest.raises(WrongStateError):
        activates(a_session(status))
