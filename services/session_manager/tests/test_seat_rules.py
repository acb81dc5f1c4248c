import dataclasses

import pytest
from chassis.refusals import InvalidError
from contracts.identifiers import HostId, PeerId, SessionId, ZoneId
from contracts.sessions import SessionStatus
from hypothesis import given
from hypothesis import strategies as st
from session_manager.errors import (
    HostFullError,
    PlayerNotFoundError,
    SessionFullError,
    SessionNotFoundError,
    WrongStateError,
)
from session_manager.policies import UNLESS_SAID
from session_manager.sessions import (
    JOINABLE,
    LIVE,
    MOST_PLAYERS,
    Joining,
    Opening,
    PlacedHost,
    Ref,
    Seat,
    SessionState,
    check_new,
    choose_opening,
    judge_join,
    judge_leave,
    read_ref,
    room_of_new,
)

ROOMY = SessionState(
    number=7,
    session_id=SessionId("session-0000000000000007"),
    status=SessionStatus.ACTIVE,
    epoch=1,
    players=3,
    max_players=10,
    host_id=HostId("here"),
    host_players=20,
    host_max_players=50,
)
ELSEWHERE = Seat(session=8, host_id=HostId("there"))
ON_THE_SAME_HOST = Seat(session=8, host_id=HostId("here"))
IN_FALLBACK = Seat(session=8, host_id=None)
IN_IT = Seat(session=7, host_id=HostId("here"))

FULL = {"players": 10}
HOST_FULL = {"host_players": 50}


@pytest.mark.parametrize(
    ("changes", "seat", "comes_to"),
    [
        ({}, None, Joining.FIRST_SEAT),
        ({"status": SessionStatus.PENDING}, None, Joining.FIRST_SEAT),
        ({"players": 9}, None, Joining.FIRST_SEAT),
        ({"host_players": 49}, None, Joining.FIRST_SEAT),
        (FULL, None, SessionFullError),
        (HOST_FULL, None, HostFullError),
        ({}, IN_IT, Joining.SAME_SEAT),
        (FULL, IN_IT, Joining.SAME_SEAT),
        (HOST_FULL, IN_IT, Joining.SAME_SEAT),
        ({}, ELSEWHERE, Joining.MOVE),
        (FULL, ELSEWHERE, SessionFullError),
        (HOST_FULL, ELSEWHERE, HostFullError),
        (HOST_FULL, ON_THE_SAME_HOST, Joining.MOVE),
        (FULL, ON_THE_SAME_HOST, SessionFullError),
        ({}, IN_FALLBACK, Joining.MOVE),
        (HOST_FULL, IN_FALLBACK, HostFullError),
    ],
)
def test_a_join_comes_to_a_seat_or_to_the_reason_why_not(changes, seat, comes_to):
    state = dataclasses.replace(ROOMY, **changes)
    if isinstance(comes_to, Joining):
        assert judge_join(state, seat) is comes_to
    else:
        with pytest.raises(comes_to):
            judge_join(state, seat)


@pytest.mark.parametrize("status", sorted(set(SessionStatus) - JOINABLE))
@pytest.mark.parametrize("seat", [None, ELSEWHERE])
def test_only_pending_and_active_sessions_can_be_joined(status, seat):
    with pytest.raises(WrongStateError):
        judge_join(dataclasses.replace(ROOMY, status=status), seat)


@pytest.mark.parametrize("status", sorted(LIVE))
def test_whoever_sits_in_a_live_session_may_come_back_to_the_seat(status):
    assert judge_join(dataclasses.replace(ROOMY, status=status), IN_IT) is Joining.SAME_SEAT


@pytest.mark.parametrize("status", sorted(set(SessionStatus) - LIVE))
def test_nobody_sits_in_a_session_that_is_over(status):
    with pytest.raises(WrongStateError):
        judge_join(dataclasses.replace(ROOMY, status=status), IN_IT)


@pytest.mark.parametrize("seat", [None, ELSEWHERE, ON_THE_SAME_HOST])
def test_a_seat_that_one_does_not_have_cannot_be_given_up(seat):
    with pytest.raises(PlayerNotFoundError):
        judge_leave(ROOMY, seat, "player")


@pytest.mark.parametrize("status", sorted(LIVE))
def test_a_seat_in_a_live_session_can_be_given_up(status):
    judge_leave(dataclasses.replace(ROOMY, status=status), IN_IT, "player")


@pytest.mark.parametrize("status", sorted(set(SessionStatus) - LIVE))
def test_nobody_leaves_a_session_that_is_over(status):
    with pytest.raises(WrongStateError):
        judge_leave(dataclasses.replace(ROOMY, status=status), None, "player")


def test_the_fullest_session_is_filled_first_and_of_equals_the_oldest():
    openings = [Opening(4, 2, own=False), Opening(3, 5, own=False), Opening(2, 5, own=False)]
    assert choose_opening(openings) == Opening(2, 5, own=False)


def test_whoever_sits_in_the_zone_already_stays():
    assert choose_opening([Opening(1, 9, own=False), Opening(2, 1, own=True)]) == Opening(2, 1, own=True)


def test_a_session_whose_host_the_player_could_not_connect_to_comes_last_its_own_too():
    own, other = Opening(1, 9, own=True, unreached=True), Opening(2, 1, own=False)
    assert choose_opening([own, Opening(3, 9, own=False, unreached=True), other]) == other


def test_without_an_opening_nothing_is_chosen():
    assert choose_opening([]) is None


@given(st.lists(st.builds(Opening, st.integers(1), st.integers(0), st.booleans()), min_size=1))
def test_the_choice_does_not_depend_on_the_order_of_the_openings(openings):
    assert choose_opening(openings) == choose_opening(list(reversed(openings)))


@pytest.mark.parametrize(
    ("text", "ref"),
    [
        ("session-0123456789abcdef", Ref(None, SessionId("session-0123456789abcdef"))),
        ("42", Ref(42, None)),
        ("000042", Ref(42, None)),
    ],
)
def test_a_session_is_named_by_its_string_or_by_its_number(text, ref):
    assert read_ref(text) == ref


@pytest.mark.parametrize(
    "text",
    [
        "session-1",
        "session-0123456789ABCDEF",
        "lobby",
        "-1",
        "4.2",
        "٤٢",
        "9" * 19,
        "session-0123456789abcde\x00",
        "\x00",
    ],
)
def test_anything_else_names_no_session(text):
    with pytest.raises(SessionNotFoundError):
        read_ref(text)


@pytest.mark.parametrize(
    ("player_ids", "max_players"),
    [(["a", "a"], None), (["a", "b"], 1), ([], MOST_PLAYERS + 1)],
)
def test_what_no_placement_could_make_right_is_refused_before_one(player_ids, max_players):
    with pytest.raises(InvalidError):
        check_new(player_ids, max_players)


def a_place(zone: int, host: int) -> PlacedHost:
    return PlacedHost(ZoneId("zone"), zone, UNLESS_SAID, HostId("host"), PeerId("host"), host, 1, "null")


@pytest.mark.parametrize(
    ("zone", "host", "asked", "room"),
    [(100, 50, None, 50), (20, 50, None, 20), (100, 50, 10, 10), (100, 50, 80, 80), (5000, 5000, None, MOST_PLAYERS)],
)
def test_a_new_session_has_the_room_asked_for_or_the_smaller_of_zone_and_host(zone, host, asked, room):
    assert room_of_new(ROOMY.session_id, a_place(zone, host), [], asked) == room


@pytest.mark.parametrize(
    ("zone", "host", "players", "asked", "error"),
    [
        (20, 50, 0, 21, InvalidError),
        (2, 50, 3, None, SessionFullError),
        (50, 2, 3, None, HostFullError),
    ],
)
def test_a_new_session_cannot_begin_with_more_than_fit(zone, host, players, asked, error):
    with pytest.raises(error):
        room_of_new(ROOMY.session_id, a_place(zone, host), [str(number) for number in range(players)], asked)
