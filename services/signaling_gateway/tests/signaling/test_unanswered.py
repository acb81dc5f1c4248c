"""A player whose host does not answer has no connection, whether the player says so or not."""

from datetime import timedelta

import pytest
import pytest_asyncio
from contracts.gateway import IceState
from signaling_gateway.rooms.unanswered import Offer, Unanswered
from testkit.eventually import eventually

from services.signaling_gateway.tests.signaling.client import dial, joined, leaving
from services.signaling_gateway.tests.signaling.gateways import gateway

WITHIN = timedelta(seconds=30)


class Time:
    """Seconds, in the test's hand."""

    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def unanswered(time):
    return Unanswered(WITHIN, time)


def test_an_offer_is_overdue_once_and_its_repeats_do_not_put_that_off(unanswered, time):
    for _ in range(4):
        unanswered.offered("ann", "session-1", "host", 1)
        assert list(unanswered.overdue()) == []
        time.seconds += 7.5
    assert list(unanswered.overdue()) == [(Offer("ann", "session-1", "host", 1, 0.0), WITHIN)]
    assert list(unanswered.overdue()) == []


@pytest.mark.parametrize(
    "happens",
    [
        lambda waiting: waiting.received("ann", b'{"type":"answer","from":"host","sdp":"v=0"}'),
        lambda waiting: waiting.settled("ann"),
        lambda waiting: waiting.offered("ann", "session-1", "another-host", 1),
        lambda waiting: waiting.offered("ann", "session-2", "host", 1),
        lambda waiting: waiting.offered("ann", "session-1", "host", 2),
    ],
)
def test_an_answer_a_word_of_the_player_another_host_and_another_seat_end_the_wait(unanswered, time, happens):
    unanswered.offered("ann", "session-1", "host", 1)
    time.seconds += 29
    happens(unanswered)
    time.seconds += 1
    assert list(unanswered.overdue()) == []


def test_other_frames_do_not_end_it(unanswered, time):
    unanswered.offered("ann", "session-1", "host", 1)
    unanswered.received("ann", b'{"type":"ice-candidate","from":"host"}')
    unanswered.received("bob", b'{"type":"answer","from":"host"}')
    time.seconds += 30
    assert len(list(unanswered.overdue())) == 1


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def impatient(servers, owners):
    async with gateway(servers, answer_within_s=2) as url:
        yield url


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("hosts_are", "answering"), [("here", "socket"), ("there", "socket"), ("here", "HTTP")])
async def test_session_manager_hears_of_who_waits_in_vain_and_of_no_other(
    impatient, there, owners, number, name, hosts_are, answering, client_of
):
    owners.add_host(f"host-{number}")
    session = owners.add_session(number, f"host-{number}")
    host = await dial(impatient if hosts_are == "here" else there, f"host-{number}")
    await host.hear("session-assigned")
    ann, bob = await joined(impatient, name("ann"), session), await joined(impatient, name("bob"), session)
    async with leaving(host, ann, bob):
        await ann.say("offer", to=f"host-{number}", sdp="v=0")
        await host.hear_until("offer")
        if answering == "socket":
            await host.say("answer", to=name("ann"), sdp="v=0", session_id=session)
        else:
            said = {"session_id": session, "peer_id": f"host-{number}", "to": name("ann"), "sdp": "v=0"}
            async with client_of(impatient) as client:
                assert (await client.post("/api/v1/signaling/answer", json=said)).json()["delivered"] is True
        await ann.hear_until("answer")
        await bob.say("offer", to=f"host-{number}", sdp="v=0")
        [told] = await eventually(lambda: owners.ice_of(name("bob")))
        assert (told.session_id, told.to, told.state) == (session, f"host-{number}", IceState.FAILED)
        assert told.elapsed_ms >= 2000
        assert owners.ice_of(name("ann")) == []


@pytest.mark.asyncio(loop_scope="module")
async def test_who_left_meanwhile_waits_for_nothing_when_they_are_back(impatient, owners, number, name):
    owners.add_host(f"host-{number}")
    session = owners.add_session(number, f"host-{number}")
    host = await dial(impatient, f"host-{number}")
    await host.hear("session-assigned")
    bob, watched = await joined(impatient, name("bob"), session), name("ann")
    ann = await joined(impatient, watched, session)
    async with leaving(host, bob):
        await ann.say("offer", to=f"host-{number}", sdp="v=0")
        await host.hear_until("offer")
        await ann.close()
        ann = await joined(impatient, watched, session)
        async with leaving(ann):
            await bob.say("offer", to=f"host-{number}", sdp="v=0")
            await eventually(lambda: owners.ice_of(name("bob")))
            assert owners.ice_of(watched) == []
