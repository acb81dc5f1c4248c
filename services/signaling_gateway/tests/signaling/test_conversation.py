"""What a frame asks for, by where its peer stands."""

from types import MappingProxyType

import pytest
from chassis.refusals import ServiceError
from contracts.frames import EnterZoneFrame, IceResult, Join, Leave, Ping, Pong
from contracts.gateway import IceState
from contracts.refusals import Code
from signaling_gateway.access.errors import ForbiddenError
from signaling_gateway.peers.conversation import (
    Carry,
    Enter,
    EnterZone,
    GoOut,
    Place,
    Reply,
    Report,
    Show,
    Standing,
    entered_by,
    hear,
    may_be_session,
)
from signaling_gateway.peers.frames import Signal

SESSION = "session-0123456789abcdef"
OTHER = "session-fedcba9876543210"

ROOM = Place("lobby", is_session=False)
SEAT = Place(SESSION, is_session=True, host_id="host-1", host_peer_id="h1", epoch=1)
SECOND = Place(OTHER, is_session=True, host_id="host-1", host_peer_id="h1", epoch=1)

STRANGER = Standing()
IDLE = Standing(peer_id="ann")
GUEST = Standing(peer_id="ann", place=ROOM)
PLAYER = Standing(peer_id="ann", place=SEAT)
FREE_HOST = Standing(peer_id="h1", host_id="host-1")
HOST = Standing(peer_id="h1", host_id="host-1", hosted=MappingProxyType({SESSION: SEAT}))
BUSY_HOST = Standing(peer_id="h1", host_id="host-1", hosted=MappingProxyType({SESSION: SEAT, OTHER: SECOND}))


def offer(to: str, session_id: str | None = None) -> Signal:
    return Signal("offer", to, session_id, "v=0", None)


def result(session_id: str | None = None) -> IceResult:
    return IceResult(to="h1", state=IceState.CONNECTED, session_id=session_id)


UNDERSTOOD = [
    (IDLE, Join(session_id="lobby"), Enter("ann", "lobby")),
    (STRANGER, Join(session_id="lobby", peer_id="ann"), Enter("ann", "lobby")),
    (PLAYER, Join(session_id=OTHER, peer_id="ann"), Enter("ann", OTHER)),
    (PLAYER, Join(session_id=SESSION), Enter("ann", SESSION)),
    (HOST, Join(session_id=SESSION), Enter("h1", SESSION)),
    (STRANGER, EnterZoneFrame(zone_id="prontera", peer_id="ann"), EnterZone("ann", "prontera")),
    (PLAYER, EnterZoneFrame(zone_id="prontera"), EnterZone("ann", "prontera")),
    (PLAYER, Leave(), GoOut(SEAT)),
    (GUEST, Leave(), GoOut(ROOM)),
    (STRANGER, Ping(id=7), Reply(Pong(id=7))),
    (PLAYER, result(), Report(SEAT, result())),
    (HOST, result(SESSION), Report(SEAT, result(SESSION))),
    (GUEST, offer("bob"), Carry(offer("bob"), ROOM, "bob", named=False)),
    (PLAYER, offer("bob"), Carry(offer("bob"), SEAT, "bob", named=False)),
    (PLAYER, offer("bob", SESSION), Carry(offer("bob", SESSION), SEAT, "bob", named=False)),
    (PLAYER, offer("h1"), Carry(offer("h1"), SEAT, "h1", named=True)),
    (PLAYER, offer("host-1"), Carry(offer("host-1"), SEAT, "h1", named=True)),
    (HOST, offer("ann"), Carry(offer("ann"), SEAT, "ann", named=True)),
    (BUSY_HOST, offer("ann", OTHER), Carry(offer("ann", OTHER), SECOND, "ann", named=True)),
]


@pytest.mark.parametrize("standing, frame, deed", UNDERSTOOD)
def test_a_frame_asks_for_one_thing(standing, frame, deed):
    assert hear(standing, frame) == deed


NOT_TO_ANN = "Failed to deliver offer to ann"
NOT_TO_BOB = "Failed to deliver offer to bob"

REFUSED = [
    (IDLE, Join(session_id=""), "session_id required", Code.INVALID),
    (IDLE, Join(session_id="a/b"), "session_id must not contain '/'", Code.INVALID),
    (
        IDLE,
        Join(session_id="é" * 128),
        "session_id must not exceed 192 bytes with all but A-Z a-z 0-9 _ - written as %XX",
        Code.INVALID,
    ),
    (STRANGER, Join(session_id="lobby"), "peer_id required", Code.INVALID),
    (IDLE, Join(session_id="lobby", peer_id="bob"), "This connection is ann's", Code.FORBIDDEN),
    (IDLE, Leave(), "Not in a session", Code.WRONG_STATE),
    (HOST, Leave(), "Not in a session", Code.WRONG_STATE),
    (IDLE, result(), "Not in a session", Code.FORBIDDEN),
    (STRANGER, offer("bob"), NOT_TO_BOB, Code.FORBIDDEN),
    (IDLE, offer("bob"), NOT_TO_BOB, Code.FORBIDDEN),
    (PLAYER, offer("bob", OTHER), NOT_TO_BOB, Code.FORBIDDEN),
    (PLAYER, offer("ann"), NOT_TO_ANN, Code.PEER_NOT_FOUND),
    (FREE_HOST, offer("ann"), NOT_TO_ANN, Code.FORBIDDEN),
    (HOST, offer("ann", OTHER), NOT_TO_ANN, Code.FORBIDDEN),
    (BUSY_HOST, offer("ann"), "session_id required", Code.INVALID),
]


@pytest.mark.parametrize("standing, frame, message, code", REFUSED)
def test_what_a_peer_may_not_have_is_refused_in_words_that_clients_know(standing, frame, message, code):
    with pytest.raises(ServiceError) as refused:
        hear(standing, frame)
    assert (refused.value.refusal.detail, refused.value.refusal.code) == (message, code)


@pytest.mark.parametrize(
    "standing, wish, found",
    [
        (HOST, Enter("h1", SESSION), Show(SEAT)),
        (HOST, Enter("h1", "lobby"), Enter("h1", "lobby")),
        (PLAYER, Enter("ann", SESSION), Enter("ann", SESSION)),
        (PLAYER, EnterZone("ann", "prontera"), EnterZone("ann", "prontera")),
    ],
)
def test_a_host_is_shown_what_it_hosts_and_a_player_enters(standing, wish, found):
    assert entered_by(standing, wish) == found


@pytest.mark.parametrize(
    "wish, message",
    [
        (Enter("h1", OTHER), f"host-1 does not host session {OTHER}"),
        (EnterZone("h1", "prontera"), "A host enters no zone"),
    ],
)
def test_a_host_plays_nowhere(wish, message):
    with pytest.raises(ForbiddenError, match=message):
        entered_by(HOST, wish)


HOSTED = [Place(SESSION, is_session=True, host_id=f"host-{epoch}", host_peer_id="h", epoch=epoch) for epoch in (1, 2)]
FALLEN = [Place(SESSION, is_session=True, epoch=epoch) for epoch in (1, 2)]
LIFE = [HOSTED[0], FALLEN[0], HOSTED[1], FALLEN[1]]


@pytest.mark.parametrize("later", range(len(LIFE)))
@pytest.mark.parametrize("earlier", range(len(LIFE)))
def test_of_two_words_on_a_session_it_is_plain_which_was_before(earlier, later):
    assert LIFE[earlier].is_before(LIFE[later]) is (earlier < later)


def test_a_room_is_before_no_session_and_none_before_it():
    room = Place(SESSION, is_session=False)
    assert not room.is_before(SEAT)
    assert not SEAT.is_before(room)


@pytest.mark.parametrize(
    "name, may",
    [(SESSION, True), ("42", True), ("lobby", False), ("session-1", False), ("SESSION-0123456789ABCDEF", False)],
)
def test_only_what_looks_like_a_session_is_asked_about(name, may):
    assert may_be_session(name) is may
