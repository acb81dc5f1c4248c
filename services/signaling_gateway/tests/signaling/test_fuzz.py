"""Whatever a client sends, its socket answers a ping after it, or was closed for the reason the contract gives."""

import asyncio
import json
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from testkit.portal import Portal
from testkit.servers import TestServers

from services.signaling_gateway.tests.signaling.client import Peer, dial
from services.signaling_gateway.tests.signaling.gateways import gateway

TYPES = ["join", "leave", "offer", "answer", "ice-candidate", "ping", "ice-result", "enter", "create_session", "relay"]
NAMES = ["ann", "bob", "lobby", "attic", "session-0123456789abcdef", "", "a/b", "*", "x" * 200]
FIELDS = ["session_id", "peer_id", "to", "target", "sdp", "candidate", "state", "zone_id", "traceparent", "id"]

leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.sampled_from(NAMES), st.text(max_size=20))
values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner))
frames = st.builds(
    lambda kind, fields: {"type": kind, **fields},
    st.sampled_from(TYPES) | values,
    st.dictionaries(st.sampled_from(FIELDS), values),
)
junk = st.one_of(
    st.binary(max_size=50),
    st.text(max_size=50),
    values.map(json.dumps),
    st.sampled_from(["[" * 3000, "x" * 66_000, '{"type":"offer","to":"bob","sdp":' + "[" * 500 + "]" * 500 + "}"]),
)


class Socket(RuleBasedStateMachine):
    """One client; `portal` holds the loop that the gateway runs in."""

    portal: Portal
    url: str

    def __init__(self) -> None:
        super().__init__()
        self.peer: Peer | None = None

    @initialize(name=st.sampled_from([None, "ann", "bob"]), room=st.sampled_from([None, "lobby"]))
    def connect(self, name, room):
        self.peer = self.portal.run(dial(self.url, name, room))

    @rule(frame=frames)
    def say(self, frame):
        self._send(json.dumps(frame))

    @rule(text=junk)
    def say_junk(self, text):
        self._send(text)

    @rule()
    def reconnect(self):
        """Sometimes without goodbye."""
        assert self.peer is not None
        self.peer.socket.transport.abort()
        self.peer = self.portal.run(dial(self.url, "ann", "lobby"))

    @invariant()
    def answers_a_ping(self):
        if self.peer is not None:
            self.portal.run(self._pinged(self.peer))

    def teardown(self):
        if self.peer is not None:
            self.portal.run(self.peer.close())

    def _send(self, frame: str | bytes) -> None:
        assert self.peer is not None
        self.portal.run(self.peer.say_raw(frame))

    async def _pinged(self, peer: Peer) -> None:
        await peer.say("ping", id="fuzz")
        async with asyncio.timeout(5):
            while (await peer.hear()) != {"type": "pong", "id": "fuzz"}:
                pass


@pytest.fixture
def gateway_on_a_thread(servers: TestServers) -> Iterator[tuple[Portal, str]]:
    portal = Portal()
    opened = gateway(servers)
    try:
        yield portal, portal.run(opened.__aenter__())
        portal.run(opened.__aexit__(None, None, None))
    finally:
        portal.close()


def test_no_sequence_of_frames_leaves_a_dead_socket(gateway_on_a_thread):
    Socket.portal, Socket.url = gateway_on_a_thread
    run_state_machine_as_test(
        Socket,
        settings=settings(
            max_examples=25, stateful_step_count=20, deadline=None, suppress_health_check=[HealthCheck.too_slow]
        ),
    )
