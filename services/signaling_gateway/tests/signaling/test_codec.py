"""The short cut for signals is as strict as the contracts, and no stricter."""

import json
from contextlib import suppress
from typing import Any

import pytest
from contracts.frames import IN, Answer, IceCandidate, IceCandidateOut, Offer, OfferOut, Pong
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from signaling_gateway.peers.frames import FrameRefusedError, Signal, UnreadableError, read, signal_out, written

MODELS: dict[str, type[Any]] = {"offer": Offer, "answer": Answer, "ice-candidate": IceCandidate}
CONTENT = {"offer": "sdp", "answer": "sdp", "ice-candidate": "candidate"}

values = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 5), st.text(max_size=5), st.just({"a": [1, None]}), st.just([])
)
names = st.sampled_from(["to", "target_peer_id", "target", "sdp", "candidate", "session_id", "traceparent", "other"])


@given(st.sampled_from(sorted(MODELS)), st.dictionaries(names, values))
def test_the_short_cut_and_the_models_accept_and_refuse_the_same(kind, fields):
    frame = {"type": kind, **fields}
    try:
        model = MODELS[kind].model_validate(frame)
    except ValidationError:
        with pytest.raises(FrameRefusedError):
            read(json.dumps(frame))
        return
    heard = read(json.dumps(frame))
    assert heard == Signal(kind, model.to, model.session_id, getattr(model, CONTENT[kind]), model.traceparent)


@pytest.mark.parametrize("model", IN, ids=lambda model: model.__name__)
def test_every_frame_of_the_contract_is_read(model):
    kind = model.model_fields["type"].default
    fields = {"session_id": "lobby", "zone_id": "prontera", "to": "bob", "state": "connected"}
    fields |= {"feed": "prontera", "npc_id": "guard", "event": "attacked", "probe_id": "p"}
    heard = read(json.dumps({"type": kind, "sdp": "v=0", "candidate": "c", **fields}))
    assert heard.type == kind


REQUIRED = [
    ({"type": "join"}, "session_id required"),
    ({"type": "join", "session_id": 5}, "session_id required"),
    ({"type": "enter"}, "zone_id required"),
    ({"type": "enter", "zone_id": "a/b"}, "zone_id: must not contain '/'"),
    ({"type": "offer", "to": "bob"}, "to and sdp required"),
    ({"type": "offer", "sdp": "v=0"}, "to and sdp required"),
    ({"type": "answer", "to": 7, "sdp": "v=0"}, "to and sdp required"),
    ({"type": "ice-candidate", "to": "bob"}, "to and candidate required"),
    ({"type": "ice-result", "to": "bob"}, "to and state required"),
    ({"type": "ice-result", "to": "bob", "state": "fine"}, "to and state required"),
    ({"type": "ice-result", "to": "\0", "state": "failed"}, "to: must not contain the character U+0000"),
    (
        {"type": "ice-result", "to": "bob", "state": "failed", "candidate_type": "\0"},
        "candidate_type: must not contain the character U+0000",
    ),
    ({"type": "relay", "to": "bob"}, "Unknown message type: relay"),
    ({"type": "resume"}, "Unknown message type: resume"),
    ({"type": ["offer"]}, "Unknown message type: ['offer']"),
    ({}, "Unknown message type: None"),
    ({"type": "x" * 1000}, f"Unknown message type: {'x' * 64}"),
]


@pytest.mark.parametrize("frame, message", REQUIRED)
def test_what_is_missing_is_named_in_words_that_clients_know(frame, message):
    with pytest.raises(FrameRefusedError) as refused:
        read(json.dumps(frame))
    assert refused.value.refusal.detail == message


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "Invalid JSON"),
        ("{", "Invalid JSON"),
        ('{"type":"\\ud800"}', "Invalid JSON"),
        ("[" * 2000 + "]" * 2000, "Invalid JSON"),
        ("[1,2]", "A frame is one JSON object"),
        ("null", "A frame is one JSON object"),
        ("17", "A frame is one JSON object"),
        (json.dumps({"type": "offer", "to": "bob", "sdp": "x" * 65536}), "A frame has at most 64 KiB"),
        (
            json.dumps({"type": "offer", "to": "bob", "sdp": "é" * 32768}, ensure_ascii=False),
            "A frame has at most 64 KiB",
        ),
    ],
)
def test_what_is_no_frame_at_all_is_unreadable(text, message):
    with pytest.raises(UnreadableError, match=message):
        read(text)


@given(st.text(max_size=200))
def test_any_text_is_a_frame_or_refused(text):
    try:
        read(text)
    except (UnreadableError, FrameRefusedError):
        return


def test_a_signal_goes_out_as_the_contract_says():
    text = signal_out("offer", "ann", {"sdp": "v=0"}, session_id="s", traceparent="00-1-2-01")
    offer = OfferOut.model_validate_json(text)
    assert (offer.sender, offer.sdp, offer.session_id, offer.traceparent) == ("ann", {"sdp": "v=0"}, "s", "00-1-2-01")
    assert "session_id" not in json.loads(signal_out("offer", "ann", "v=0"))


def test_the_end_of_candidates_goes_out_as_it_came():
    text = signal_out("ice-candidate", "ann", None)
    assert IceCandidateOut.model_validate_json(text).candidate is None
    assert json.loads(text)["candidate"] is None


@pytest.mark.parametrize("depth", [33, 255, 400, 1000])
@pytest.mark.parametrize(("kind", "content"), CONTENT.items())
def test_content_nested_beyond_reason_is_refused(kind, content, depth):
    with pytest.raises(FrameRefusedError, match=f"{content} is nested too deeply"):
        read(f'{{"type": "{kind}", "to": "bob", "{content}": {"[" * depth}{"]" * depth}}}')


@pytest.mark.parametrize("field", ["type", "id", "session_id", "data", "sdp", "other"])
@pytest.mark.parametrize("kind", ["ping", "join", "npc-event", "probe-answer", "leave"])
def test_nothing_that_is_nested_ends_the_reader(kind, field):
    nested = "[" * 1000 + "]" * 1000
    with suppress(FrameRefusedError):
        read(f'{{"type": "{kind}", "{field}": {nested}}}')


def test_what_is_not_known_is_left_out():
    assert written(Pong()) == b'{"type":"pong"}'
