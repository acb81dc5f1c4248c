"""One trace from the frame that began it, through every gateway and owner; a flood of signals leaves hardly any."""

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from testkit.eventually import eventually
from testkit.spans import SpanReceiver, receiving_spans

from services.signaling_gateway.tests.signaling.client import dial, joined, leaving
from services.signaling_gateway.tests.signaling.gateways import process
from services.signaling_gateway.tests.signaling.owners import owning

TRACE = "0af7651916cd43dd8448eb211c80319c"
SAMPLED = f"00-{TRACE}-b7ad6b7169203331-01"
OTHER_TRACE = "1af7651916cd43dd8448eb211c80319c"
OTHER = f"00-{OTHER_TRACE}-b7ad6b7169203331-00"
UNSAMPLED = f"00-{TRACE}-b7ad6b7169203331-00"


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
