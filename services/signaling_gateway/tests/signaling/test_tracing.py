"""One trace from the frame that began it, through every gateway and owner; a flood of signals leaves hardly any."""

import re
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest
import pytest_asyncio
from chassis.bus import connect_bus
from nats.aio.msg import Msg
from testkit.eventually import eventually
from testkit.spans import SpanReceiver, receiving_spans

from services.signaling_gateway.tests.signaling.client import Peer, dial, joined, leaving
from services.signaling_gateway.tests.signaling.gateways import process
from services.signaling_gateway.tests.signaling.owners import owning

TRACE = "0af7651916cd43dd8448eb211c80319c"
SAMPLED = f"00-{TRACE}-b7ad6b7169203331-01"
OTHER_TRACE = "1af7651916cd43dd8448eb211c80319c"
OTHER = f"00-{OTHER_TRACE}-b7ad6b7169203331-00"
UNSAMPLED = f"00-{TRACE}-b7ad6b7169203331-00"
CHARTED_TRACE = "2af7651916cd43dd8448eb211c80319c"
CHARTED = f"00-{CHARTED_TRACE}-b7ad6b7169203331-01"

README = Path(__file__).parents[2] / "README.md"
TRACED = ("redis", "host_registry", "session_manager")
"""Whom spans tell of; the rest is seen on sockets and on NATS."""
OWNERS = {"hosts": "host_registry", "sessions": "session_manager"}

Lanes = dict[tuple[str, str], list[str]]
"""What one sends another, in order; of all whom spans tell of in one lane, `asked`."""


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def traced(servers) -> AsyncIterator[tuple[str, str, SpanReceiver]]:
    with receiving_spans() as receiver:
        async with (
            owning(servers.nats.url) as owners,
            process(servers, OTLP_ENDPOINT=receiver.url) as (here, _),
            process(servers, OTLP_ENDPOINT=receiver.url) as (there, _),
        ):
            owners.add_host("host-1")
            owners.add_session(1, "host-1")
            yield here, there, receiver


async def test_a_sampled_trace_is_followed_and_passed_on(traced):
    here, there, receiver = traced
    ann = await dial(here, "ann")
    host = await dial(there, "host-1")
    async with leaving(ann, host):
        await host.hear("session-assigned")
        await ann.say("join", session_id="1", traceparent=SAMPLED)
        await ann.hear("session-joined")
        await ann.say("offer", to="host-1", sdp="v=0", traceparent=SAMPLED)
        offer = await host.hear_until("offer")
        assert re.fullmatch(f"00-{TRACE}-[0-9a-f]{{16}}-01", offer["traceparent"])
        await host.say("answer", to="ann", sdp="v=0", session_id="session-0000000000000001", traceparent=UNSAMPLED)
        assert "traceparent" not in await ann.hear("answer")

        def complete() -> bool:
            names = [span.name for span in receiver.spans_of(TRACE)]
            return {"ws join", "ws offer", "p2p.sessions.join", "receive p2p.gateway.deliver"} <= set(names)

        await eventually(complete)
        spans = {span.name: span for span in receiver.spans_of(TRACE)}
        assert spans["ws offer"].span_id == spans["publish p2p.gateway.deliver"].parent_id
        assert spans["publish p2p.gateway.deliver"].span_id == spans["receive p2p.gateway.deliver"].parent_id
        assert spans["p2p.sessions.join"].parent_id == spans["ws join"].span_id
        assert {span.service for span in spans.values()} == {"signaling_gateway"}
        assert "ws answer" not in spans


async def test_entries_are_kept_and_floods_are_not(traced):
    here, there, receiver = traced
    ann = await joined(here, "ann", "traced")
    bob = await joined(there, "bob", "traced")
    async with leaving(ann, bob):
        await ann.hear("peer-joined")
        for _ in range(200):
            await ann.say("ice-candidate", to="bob", candidate="c")
            await bob.hear("ice-candidate")
        await ann.say("leave")
        await ann.hear("session-left")
        await ann.say("join", session_id="", traceparent=OTHER)  # refused: it leaves a span under its own trace
        await ann.hear("error")

    def kept(name: str) -> list[str]:
        return [span.trace_id for span in receiver.spans if span.name == name]

    await eventually(lambda: OTHER_TRACE in kept("ws join"), within=10)
    await eventually(lambda: len(kept("ws join")) >= 3, within=10)
    assert len(kept("ws ice-candidate")) < 20


def charted() -> tuple[Lanes, set[str]]:
    """What the README's chart says, and which of it need not happen."""
    chart = README.read_text().split("sequenceDiagram")[1].split("```")[0]
    lanes: Lanes = defaultdict(list)
    optional = {said.split(",")[0] for said in re.findall(r"opt .*\n +\w+->>\w+: (.*)", chart)}
    for sender, receiver, said in re.findall(r"(\w+)(?:->>|-\))(\w+): (.*)", re.sub(r"opt .*\n.*\n +end", "", chart)):
        word = said.split(" ")[0]
        lanes[sender, "asked" if receiver in TRACED else receiver].append(
            f"{receiver} {word}" if receiver in TRACED else word
        )
    return lanes, optional


class Observer:
    """What passes between two gateways, their peers and the rest."""

    def __init__(self, session_id: str, name: str) -> None:
        self.lanes: Lanes = defaultdict(list)
        self._session_id = session_id
        self._name = name

    async def tapped(self, msg: Msg) -> None:
        """See what `here` says of the peer on NATS."""
        family, kind = msg.subject.split(".")[1], msg.subject.split(".")[-1]
        if family == "events":
            if orjson.loads(msg.data).get("peer_id") == self._name:
                self.lanes["here", "jetstream"].append(f"p2p.events.gateway.{kind}")
        elif ".room" in msg.subject and orjson.loads(msg.data)["room"] == self._session_id:
            self.lanes["here", "there"].append("p2p.gateway.room")
        elif ".deliver." in msg.subject and self._session_id in msg.subject:
            self.lanes["here", "there"].append("p2p.gateway.deliver")

    async def says(self, ann: Peer, kind: str, **fields: str) -> None:
        self.lanes["ann", "here"].append(kind)
        await ann.say(kind, **fields, traceparent=CHARTED)

    async def hears(self, peer: Peer, gateway: str, who: str) -> None:
        self.lanes[gateway, who].append((await peer.hear())["type"])


async def test_a_join_a_signal_and_a_leave_go_as_the_readme_draws_them(traced, servers):
    here, there, receiver = traced
    name, session_id = "ann-charted", "session-0000000000000001"
    observer = Observer(session_id, name)
    expected, optional = charted()
    async with connect_bus(servers.nats.url, "observer") as bus:
        bob, ann = await joined(there, "bob-charted", session_id), await dial(here)
        async with leaving(ann, bob):
            await bus.subscribe("p2p.gateway.>", observer.tapped)
            await bus.subscribe("p2p.events.gateway.>", observer.tapped)
            await observer.says(ann, "join", session_id=session_id, peer_id=name)
            await observer.hears(ann, "here", "ann")
            await observer.hears(bob, "there", "bob")
            await observer.says(ann, "offer", to="bob-charted", sdp="v=0")
            await observer.hears(bob, "there", "bob")
            await observer.says(ann, "leave")
            await observer.hears(ann, "here", "ann")
            await observer.hears(bob, "there", "bob")

            def asked() -> list[str]:
                spans = [span for span in receiver.spans_of(CHARTED_TRACE) if span.kind == "CLIENT"]
                words = ((OWNERS.get(span.name.split(".")[1]) if "." in span.name else "redis", span) for span in spans)
                return [f"{who} {span.name}" for who, span in words if span.name not in optional]

            def as_drawn() -> bool:
                observer.lanes["here", "asked"] = asked()
                assert observer.lanes == expected
                return True

            await eventually(as_drawn, within=10, of="what the chart draws")
