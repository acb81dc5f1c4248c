"""The dialect of the shipped game client: what it is told, in which words, and what it is spared."""

import json
from typing import Any

import pytest
from contracts.frames import OUT, ErrorFrame, IceCandidateOut, PeerJoined, PeerLeft, SessionJoined
from contracts.refusals import Code
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from signaling_gateway.peers.frames import FrameRefusedError, Signal, UnreadableError, read, signal_out, written
from signaling_gateway.peers.warp import from_warp, speaks_warp, to_warp

TOLD = {SessionJoined, PeerJoined, PeerLeft, IceCandidateOut, ErrorFrame}

NAMES = st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=12)
MAYBE = st.none() | NAMES
JSON = st.recursive(st.none() | st.booleans() | NAMES, lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner))


def _told(frame: bytes) -> Any:
    said = to_warp(frame)
    return None if said is None else json.loads(said)


CASES: list[tuple[BaseModel, dict[str, Any]]] = [
    (
        SessionJoined(session_id="session-1", peers=("150002",), host_id="h", host_peer_id="p", epoch=3, zone_id="z"),
        {"type": "session_created", "session_id": "session-1", "host_id": "h", "zone": "z", "peers": ["150002"]},
    ),
    (
        SessionJoined(session_id="session-1", peers=(), zone_id="z"),
        {"type": "session_created", "session_id": "session-1", "zone": "z", "peers": []},
    ),
    (PeerJoined(peer_id="150002", session_id="s"), {"type": "peer_joined", "peer_id": "150002"}),
    (PeerLeft(peer_id="150002", reason="moved"), {"type": "peer_left", "peer_id": "150002"}),
    (
        ErrorFrame(message="No such zone.", code=Code.ZONE_NOT_FOUND, in_reply_to="create_session"),
        {"type": "error", "message": "No such zone."},
    ),
]


@pytest.mark.parametrize(("frame", "told"), CASES)
def test_what_it_understands_is_said_in_its_words(frame, told):
    assert _told(written(frame)) == told


@pytest.mark.parametrize(
    ("candidate", "told"),
    [
        ("candidate:1 1 udp 1 192.0.2.1 4 typ host", "candidate:1 1 udp 1 192.0.2.1 4 typ host"),
        ({"candidate": "candidate:1", "sdpMid": "0", "sdpMLineIndex": 0}, "candidate:1"),
        ({"candidate": None}, '{"candidate":null}'),
        (None, ""),
    ],
)
def test_a_candidate_is_a_string_whatever_it_was(candidate, told):
    frame = signal_out("ice-candidate", "150002", candidate, session_id="s")
    assert _told(frame) == {"type": "ice_candidate", "from": "150002", "peer_id": "150002", "candidate": told}


@pytest.mark.parametrize("model", [model for model in OUT if model not in TOLD], ids=lambda model: model.__name__)
def test_of_everything_else_it_is_told_nothing(model):
    kind = model.model_fields["type"].default
    assert (
        to_warp(json.dumps({"type": kind, "from": "a", "sdp": "v=0", "peer_id": "a", "message": "m"}).encode()) is None
    )


def test_a_frame_of_next_year_is_dropped():
    assert to_warp(b'{"type":"of-next-year","peers":[]}') is None


@given(
    st.builds(
        SessionJoined,
        session_id=NAMES,
        peers=st.lists(NAMES).map(tuple),
        host_id=MAYBE,
        zone_id=MAYBE,
        traceparent=MAYBE,
    )
    | st.builds(PeerJoined, peer_id=NAMES, session_id=MAYBE, traceparent=MAYBE)
    | st.builds(PeerLeft, peer_id=NAMES, reason=NAMES, session_id=MAYBE)
    | st.builds(ErrorFrame, message=NAMES, code=st.sampled_from(Code))
)
def test_it_reads_strings_and_lists_of_them_alone(frame):
    told = _told(written(frame))
    assert all(type(value) is str or all(type(one) is str for one in value) for value in told.values())
    assert "offer" not in told
    assert "-" not in told["type"]


@given(NAMES, JSON)
def test_every_candidate_can_be_told(sender, candidate):
    assert all(type(value) is str for value in _told(signal_out("ice-candidate", sender, candidate)).values())


def test_its_candidates_are_others_candidates():
    frame = read(from_warp('{"type":"ice_candidate","target_peer_id":"150002","candidate":"candidate:1"}'))
    assert frame == Signal("ice-candidate", "150002", None, "candidate:1", None)


@given(st.text() | JSON.map(json.dumps) | st.dictionaries(NAMES | st.just("type"), JSON).map(json.dumps))
def test_what_is_not_its_own_is_passed_on_as_it_came(text):
    assert from_warp(text) == text


@pytest.mark.parametrize(
    "first",
    [
        '{"type":"create_session","peer_id":"150001","zone":"prontera","capabilities":{"webrtc":true}}',
        '{"type": "create_session"}',
    ],
)
def test_one_that_begins_with_create_session_is_the_game_client(first):
    assert speaks_warp(first)


@pytest.mark.parametrize(
    "first",
    [
        '{"type":"enter","zone_id":"create_session"}',
        '{"type":"join","session_id":"s"}',
        '["create_session"]',
        '{"type":["create_session"]}',
        "create_session",
        "",
        '{"type":"create_session","x":"' + "x" * 70_000 + '"}',
    ],
)
def test_one_that_begins_otherwise_is_not(first):
    assert not speaks_warp(first)


NESTED = '{"type":"ice_candidate","to":"bob","candidate":%s}' % ("[" * 500 + "]" * 500)


@pytest.mark.parametrize(
    "garbage", ['{"type":"ice_candidate"', '["ice_candidate"]', '{"type":"ice_candidate"}', NESTED]
)
def test_garbage_in_its_dialect_is_refused_like_any_other(garbage):
    with pytest.raises((UnreadableError, FrameRefusedError)):
        read(from_warp(garbage))
