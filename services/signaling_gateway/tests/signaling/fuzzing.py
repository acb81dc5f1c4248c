"""What a fuzzer says and how it comes and goes; `@` in any of its words is the number of its run."""

import json
from typing import Any

from hypothesis import strategies as st

PLAYERS = ["ann@", "bob@"]
GAME_CLIENTS = ["91@", "92@"]
"""Names that clients without a key may have."""
HOST = "host@"
SESSION = "session-@"
ROOM = "room@"
ZONE = "zone@"

PEERS = [*PLAYERS, *GAME_CLIENTS, HOST]
NAMES = [*PEERS, SESSION, ROOM, ZONE, "", "*", ">", "a.>", "%2E", "a/b", "a\nb", "a\0b", "\ud800", "x" * 200]

USABLE: list[dict[str, Any]] = [
    {"type": "join", "session_id": SESSION},
    {"type": "join", "session_id": SESSION, "peer_id": PLAYERS[0]},
    {"type": "join", "session_id": ROOM, "peer_id": PLAYERS[1]},
    {"type": "join", "session_id": "lobby"},
    {"type": "enter", "zone_id": ZONE},
    {"type": "enter", "zone_id": ZONE, "peer_id": PLAYERS[0]},
    {"type": "create_session", "peer_id": GAME_CLIENTS[0], "zone": ZONE, "capabilities": {"webrtc": True}},
    {"type": "create_session", "peer_id": GAME_CLIENTS[1], "zone": ZONE, "capabilities": {"webrtc": True}},
    {"type": "leave"},
    {"type": "offer", "to": HOST, "sdp": "v=0"},
    {"type": "answer", "to": PLAYERS[0], "sdp": {"type": "answer", "sdp": "v=0"}, "session_id": SESSION},
    {"type": "ice-candidate", "to": GAME_CLIENTS[0], "candidate": {"candidate": "candidate:1", "sdpMid": "0"}},
    {"type": "ice_candidate", "to": PLAYERS[1], "candidate": "candidate:1"},
    {"type": "ice-result", "to": HOST, "state": "connected", "candidate_type": "host", "elapsed_ms": 80},
    {"type": "subscribe", "feed": ZONE},
    {"type": "npc-event", "zone_id": ZONE, "npc_id": "poring", "event": "died", "data": {"by": "ann"}},
    {"type": "probe-answer", "probe_id": "p", "sdp": "v=0"},
    {"type": "ping", "id": 7},
]
FIELDS = sorted({name for frame in USABLE for name in frame} | {"traceparent", "target", "target_peer_id"})

_leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(NAMES) | st.text(max_size=20)
_values = st.recursive(
    _leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)

usable = st.sampled_from(USABLE).map(json.dumps)
mutated = st.builds(
    lambda frame, field, value: json.dumps(frame | {field: value}),
    st.sampled_from(USABLE),
    st.sampled_from(FIELDS),
    _values,
)
incomplete = st.builds(
    lambda frame, field: json.dumps({name: value for name, value in frame.items() if name != field}),
    st.sampled_from(USABLE),
    st.sampled_from(FIELDS),
)
senseless = st.one_of(
    st.binary(max_size=50),
    st.text(max_size=50),
    _values.map(json.dumps),
    st.sampled_from(
        [
            "[" * 3000,
            "x" * 66_000,
            '{"type":"offer","to":"bob@","sdp":' + "[" * 500 + "]" * 500 + "}",
            '{"type":"join","session_id":"a","session_id":"room@"}',
            '{"type":"offer","to":"*","sdp":' + "9" * 5000 + "}",
            "\ufeff{}",
            b"\x00",
        ]
    ),
)
