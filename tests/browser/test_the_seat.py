"""What the page's SDK makes of a seat: whose word counts, what an answer answers, and that all comes to an end."""

import asyncio
import signal
import sys
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from contracts.hosts import RegisterHost
from sdk import HostAgent, OnClose
from testkit.eventually import eventually
from testkit.patience import within

EVENTS = ["signaling", "session", "offer", "answer", "open", "lost", "failed", "ended"]

CONNECT = """async (names) => {
  const { P2PClient } = await import("/sdk/p2p.js");
  globalThis.told = [];
  globalThis.client = new P2PClient();
  for (const name of names) {
    client.on(name, (about) => told.push({ ...about, ...(about.error && { error: about.error.code }), name }));
  }
  await client.connect(location.origin, { peerId: "anna" });
}"""
COUNT = """() => {
  const plain = globalThis.fetch;
  globalThis.answers = globalThis.trips = 0;
  globalThis.fetch = (...asked) => plain(...asked).finally(() => (globalThis.answers += 1));
  client.on("roundtrip", () => (globalThis.trips += 1));
}"""
ENTER = "(zone) => client.enter(zone).then((seat) => seat.sessionId, ({ stage, code }) => ({ stage, code }))"


OFFER_ATTEMPTS = 5
"""With which p2p.js gives up a host that it has never reached."""


def outcomes(stand_in) -> list[str]:
    """What anna said of her channel, in order."""
    return [frame["state"] for frame in stand_in.frames_from("anna", "ice-result")]


@asynccontextmanager
async def host_process(url: str):
    """A host that can be stopped by a signal."""
    program = (sys.executable, "-m", "tests.journeys.echoing_host", url, "mortal", "nowhere")
    process = await asyncio.create_subprocess_exec(*program, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        async with within(20):
            assert await process.stdout.readline() == b"ready\n"
        yield process
    finally:
        process.kill()
        await process.wait()


async def echo(channel, message):
    await channel.send(message)


@pytest.fixture
async def host(stand_in):
    machine = RegisterHost(host_id="host-1", player_id="p", player_name="P")
    async with HostAgent(stand_in.url, machine, on_message=echo) as agent:
        yield agent


@pytest.fixture
async def silent_host(stand_in):
    """One that has a signaling socket and nothing else, and the zone's session."""
    async with aiohttp.ClientSession() as http, http.ws_connect(f"{stand_in.url}/api/v1/signaling/ws?peer_id=silent"):
        await stand_in.until(lambda: "silent" in stand_in.sockets)
        yield await stand_in.assign("session-1", "prontera", "silent")


@pytest.fixture
async def connected(stand_in, page):
    """A page with a client of its own."""
    await page.open(stand_in.url)
    await page.page.evaluate(CONNECT, EVENTS)
    return page.page


async def told(page, name: str) -> list[Any]:
    """The events of one name so far."""
    events: list[Any] = await page.evaluate("told")
    return [event for event in events if event["name"] == name]


async def test_a_refusal_of_what_is_wanted_no_longer_is_nobodys(connected, host):
    both = f"async () => Promise.all(['nowhere', 'prontera'].map({ENTER}))"
    first, second = await connected.evaluate(both)
    assert first == {"stage": "placement", "code": "left"}
    assert isinstance(second, str)
    assert await told(connected, "failed") == []


async def test_only_the_sessions_host_is_listened_to_and_only_about_this_offer(stand_in, connected, silent_host):
    await connected.evaluate("() => void client.enter('prontera')")
    await stand_in.until(lambda: stand_in.frames_from("anna", "offer"))
    ufrag = stand_in.frames_from("anna", "offer")[0]["ufrag"]
    junk = {"type": "answer", "sdp": {"type": "answer", "sdp": "junk"}, "session_id": "session-1"}
    candidate = {"type": "ice-candidate", "candidate": None, "session_id": "session-1"}
    for frame in (
        {**junk, "from": "eve"},
        {**junk, "from": "eve", "ufrag": ufrag},
        {**junk, "from": "silent", "session_id": "session-2"},
        {**junk, "from": "silent", "ufrag": "of the one before"},
        {**candidate, "from": "eve"},
        {**candidate, "from": "silent"},
        "no frame",
        None,
    ):
        await stand_in.send("anna", frame)
    await stand_in.send("anna", {"type": "peer-joined", "peer_id": "after them"})
    assert await told(connected, "lost") == []
    await stand_in.send("anna", {**junk, "from": "silent", "ufrag": ufrag})
    [lost] = await eventually(lambda: told(connected, "lost"))
    assert lost["error"] == "answer_unusable"


@pytest.mark.parametrize("reason", ["left", "moved"])
async def test_who_is_put_out_over_rest_is_told_so(stand_in, connected, host, reason):
    session_id = await connected.evaluate(ENTER, "prontera")
    await stand_in.send("anna", {"type": "session-left", "session_id": session_id, "reason": reason})
    [ended] = await eventually(lambda: told(connected, "ended"))
    assert ended["reason"] == reason
    assert await connected.evaluate("[client.open, client.session]") == [False, None]


async def test_who_is_put_out_while_connecting_has_failed(stand_in, connected, silent_host):
    await connected.evaluate(f"() => void (globalThis.entering = ({ENTER})('prontera'))")
    await stand_in.until(lambda: stand_in.frames_from("anna", "offer"))
    await stand_in.send("anna", {"type": "session-left", "session_id": "session-1", "reason": "left"})
    assert await connected.evaluate("entering") == {"stage": "placement", "code": "put_out"}


@pytest.mark.parametrize("what", ["no WebRTC", "an ICE server that is none"])
async def test_a_browser_that_cannot_connect_says_so_and_gives_the_seat_back(stand_in, connected, host, what):
    if what == "no WebRTC":
        await connected.evaluate("() => void delete globalThis.RTCPeerConnection")
    else:
        stand_in.ice_servers = [{"urls": ["http://stun.example"]}]
    assert await connected.evaluate(ENTER, "prontera") == {"stage": "offer", "code": "no_webrtc"}
    [failed] = await told(connected, "failed")
    assert (failed["stage"], failed["code"]) == ("offer", "no_webrtc")
    await stand_in.until(lambda: stand_in.frames_from("anna", "leave"))


async def test_a_player_says_how_its_connection_is_until_nobody_wants_to_know(stand_in, page, host):
    await page.page.clock.install()
    await page.open(stand_in.url)
    await page.page.evaluate(CONNECT, EVENTS)
    await page.page.evaluate(COUNT)
    session_id = await page.page.evaluate(ENTER, "prontera")

    async def pass_time_until(counted):
        async def passes():
            await page.page.clock.run_for(1_000)
            return await page.page.evaluate(counted)

        await eventually(passes, within=20)

    for measures, refused in ((1, 0), (2, 403)):
        stand_in.refuse_measures_with = refused
        await pass_time_until(f"answers >= {measures}")
    begun = await page.page.evaluate("[performance.now(), trips]")
    await pass_time_until(f"performance.now() > {begun[0]} + 60_000 && trips > {begun[1]} + 30")
    assert len(stand_in.measures) == 2
    assert stand_in.measures[0].keys() == {"session_id", "player_id", "average_latency_ms", "packet_loss_percent"}
    assert (stand_in.measures[0]["session_id"], stand_in.measures[0]["player_id"]) == (session_id, "anna")


async def test_entering_without_a_connection_is_refused(stand_in, page):
    await page.open(stand_in.url)
    made = "async () => void (globalThis.client = new (await import('/sdk/p2p.js')).P2PClient())"
    await page.page.evaluate(made)
    assert await page.page.evaluate(ENTER, "prontera") == {"stage": "signaling", "code": "not_connected"}


async def test_a_gateway_that_stands_still_is_noticed_and_dialled_again(stand_in, page):
    await page.page.clock.install()
    await page.open(stand_in.url)
    await page.page.evaluate(CONNECT, EVENTS)
    for pings in (1, 2, 3):  # one that answers is kept
        await page.page.clock.run_for(12_000)
        await stand_in.until(lambda wanted=pings: len(stand_in.frames_from("anna", "ping")) >= wanted)
    stand_in.stands_still = True
    await page.page.clock.run_for(45_000)
    states = [event["state"] for event in await told(page.page, "signaling")]
    assert "lost" in states
    stand_in.stands_still = False
    await page.page.clock.run_for(1_000)

    async def back():
        return [event["state"] for event in await told(page.page, "signaling")][-1] == "connected"

    await eventually(back)


async def states(page) -> list[str]:
    return [event["state"] for event in await told(page, "signaling")]


async def test_a_gateway_that_takes_connections_and_never_answers_is_dialled_again(stand_in, page):
    await page.page.clock.install()
    await page.open(stand_in.url)
    await page.page.evaluate(CONNECT, EVENTS)
    stand_in.takes_sockets.clear()
    await stand_in.close("anna", 1012)
    await page.page.clock.run_for(1_000)

    async def dials():
        return (await states(page.page))[-1] == "connecting"

    await eventually(dials)
    await page.page.clock.run_for(10_000)
    lost = [event["reason"] for event in await told(page.page, "signaling") if event["state"] == "lost"]
    assert lost[-1] == "the gateway does not answer"
    stand_in.takes_sockets.set()
    await page.page.clock.run_for(1_000)

    async def back():
        return (await states(page.page))[-1] == "connected"

    await eventually(back)


async def test_a_backend_that_never_gives_a_token_is_asked_again(stand_in, page):
    await page.page.clock.install()
    await page.open(stand_in.url)
    asking = "globalThis.asked = 0; const token = () => (++asked === 2 ? new Promise(() => {}) : '');"
    connect = CONNECT.replace("await client", f"{asking} await client").replace('"anna" }', '"anna", token }')
    await page.page.evaluate(connect, EVENTS)
    await stand_in.close("anna", 1012)

    async def asked_again():
        return await page.page.evaluate("asked") == 2

    await page.page.clock.run_for(1_000)
    await eventually(asked_again)
    await page.page.clock.run_for(10_000)
    lost = [event["reason"] for event in await told(page.page, "signaling") if event["state"] == "lost"]
    assert lost[-1] == "cannot connect: no token came in time"
    await page.page.clock.run_for(1_000)

    async def back():
        return (await states(page.page))[-1] == "connected"

    await eventually(back)


async def test_a_connection_that_is_given_up_is_over_at_once_and_leaves_the_next_alone(stand_in, page, host):
    await page.page.clock.install()
    await page.open(stand_in.url)
    twice = CONNECT.replace(
        "await client",
        """globalThis.first = client.connect(location.origin, { peerId: "anna", token: () => new Promise(() => {}) })
          .then(() => "connected", ({ stage, code }) => ({ stage, code }));
        await client""",
    )
    await page.page.evaluate(twice, EVENTS)
    assert await page.page.evaluate("first") == {"stage": "signaling", "code": "closed"}
    seat = await page.page.evaluate(ENTER, "prontera")
    await page.page.clock.run_for(11_000)
    assert await told(page.page, "failed") == []
    assert await page.page.evaluate("client.session?.sessionId") == seat


async def test_an_error_in_a_listener_keeps_nobody_waiting(stand_in, connected, page, host):
    throws = """() => { throw new Error("the page's"); }"""
    await connected.evaluate(f"""() => {{ for (const name of ["session", "open"]) client.on(name, {throws}) }}""")
    assert await connected.evaluate(ENTER, "prontera") == next(iter(stand_in.sessions))
    assert page.errors == ["the page's"] * 2
    page.errors.clear()


async def test_a_host_that_falls_silent_is_told_at_once_and_again_when_it_is_back(stand_in, connected):
    async with host_process(stand_in.url) as process:
        await stand_in.assign("session-1", "prontera", "mortal")
        await connected.evaluate("() => client.on('roundtrip', () => (globalThis.answered = true))")
        await connected.evaluate(ENTER, "prontera")
        await connected.wait_for_function("globalThis.answered")
        process.send_signal(signal.SIGSTOP)
        await stand_in.until(lambda: outcomes(stand_in) == ["connected", "disconnected"])
        process.send_signal(signal.SIGCONT)
        await stand_in.until(lambda: outcomes(stand_in) == ["connected", "disconnected", "connected"])
    assert await told(connected, "lost") == []


TALK = """() => {
  globalThis.sent = globalThis.refused = 0;
  globalThis.answers = [];
  client.on("message", (answer) => answers.push(answer.split(": ")));
  globalThis.talking = setInterval(() => {
    try {
      client.send(String((sent += 1)));
    } catch {
      refused += 1;
    }
  }, 4);
}"""
HEARD_OF_BOTH = "() => answers.filter(([host]) => host === 'host-2').length > 25"
ALL_ANSWERED = "() => clearInterval(talking) || answers.length >= sent"


def named(stand_in, host_id):
    """A host that says its name before what it echoes."""

    async def answer(channel, message):
        await channel.send(f"{host_id}: {message}")

    machine = RegisterHost(host_id=host_id, player_id="p", player_name="P")
    return HostAgent(stand_in.url, machine, on_message=answer, on_close=OnClose.KEEP)


async def test_a_planned_move_loses_and_refuses_no_message(stand_in, connected):
    async with named(stand_in, "host-1"), named(stand_in, "host-2"):
        session_id = await connected.evaluate(ENTER, "prontera")
        await connected.evaluate(TALK)
        await connected.wait_for_function("answers.length > 5")
        await stand_in.move(session_id, "host-2", "host_draining")
        await connected.wait_for_function(HEARD_OF_BOTH)
        await connected.wait_for_function(ALL_ANSWERED)
        sent, refused, answers = await connected.evaluate("[sent, refused, answers]")
        numbers = {host: [int(number) for who, number in answers if who == host] for host in ("host-1", "host-2")}
        assert numbers["host-1"] + numbers["host-2"] == list(range(1, sent + 1))
        assert refused == 0
        assert len(await told(connected, "open")) == 2
        assert await told(connected, "lost") == []


async def test_a_standby_is_connected_to_ahead_and_takes_over_with_no_offer_more(stand_in, connected):
    async with named(stand_in, "host-1"), named(stand_in, "host-2") as standby:
        session_id = await connected.evaluate(ENTER, "prontera")
        await stand_in.stand_by(session_id, "host-2")
        await eventually(standby.channels)
        assert session_id in standby.stands_by
        await standby.broadcast("host-2: not yet")
        await stand_in.until(lambda: len(outcomes(stand_in)) == 2)
        await connected.evaluate(TALK)
        await connected.wait_for_function("answers.length > 5")
        await stand_in.move(session_id, "host-2", "host_lost")
        await connected.wait_for_function(HEARD_OF_BOTH)
        assert await connected.evaluate("refused") == 0
        answers = await connected.evaluate("answers")
        assert ["host-2", "not yet"] not in answers
        assert [frame["to"] for frame in stand_in.frames_from("anna", "offer")] == ["host-1", "host-2"]
        assert len(await told(connected, "open")) == 2
        assert standby.stands_by == {}


async def test_a_standby_that_cannot_be_reached_costs_the_host_nothing(stand_in, connected, host):
    session_id = await connected.evaluate(ENTER, "prontera")
    named_one = {"host_id": "nobody", "host_peer_id": "nobody"}
    frame = {"type": "session-standby", "session_id": session_id, "epoch": 1, "standby": named_one}
    await stand_in.send("anna", frame)
    await stand_in.until(lambda: len(stand_in.frames_from("anna", "offer")) > 2)
    assert await connected.evaluate("client.open")
    assert await told(connected, "lost") == []


async def test_a_host_that_is_lost_is_sent_nothing_more(stand_in, connected):
    async with named(stand_in, "host-1"), named(stand_in, "host-2"):
        session_id = await connected.evaluate(ENTER, "prontera")
        await connected.evaluate("() => client.on('migrated', () => (globalThis.openThen = client.open))")
        await stand_in.move(session_id, "host-2", "host_lost")
        await eventually(lambda: connected.evaluate("client.open"))
        assert await connected.evaluate("openThen") is False


async def test_a_host_that_fell_silent_is_left_at_once_though_the_move_was_planned(stand_in, connected):
    async with host_process(stand_in.url) as process, named(stand_in, "host-2"):
        await stand_in.assign("session-1", "prontera", "mortal")
        await connected.evaluate("() => client.on('roundtrip', () => (globalThis.answered = true))")
        await connected.evaluate("() => client.on('migrated', () => (globalThis.openThen = client.open))")
        await connected.evaluate(ENTER, "prontera")
        await connected.wait_for_function("globalThis.answered")
        process.send_signal(signal.SIGSTOP)
        await stand_in.until(lambda: outcomes(stand_in) == ["connected", "disconnected"])
        await stand_in.move("session-1", "host-2", "host_draining")
        await eventually(lambda: connected.evaluate("client.open"))
        assert await connected.evaluate("openThen") is False


async def test_the_seat_of_a_host_that_goes_waits_for_the_next_and_not_for_ever(stand_in, page):
    await page.page.clock.install()
    await page.open(stand_in.url)
    await page.page.evaluate(CONNECT, EVENTS)
    async with HostAgent(stand_in.url, RegisterHost(host_id="host-1", player_id="p", player_name="P"), on_message=echo):
        await page.page.evaluate(ENTER, "prontera")
    for offers in range(2, 2 * OFFER_ATTEMPTS):
        await page.page.clock.run_for(5_000)
        await stand_in.until(lambda wanted=offers: len(stand_in.frames_from("anna", "offer")) >= wanted)
    assert stand_in.frames_from("anna", "leave") == []
    assert await told(page.page, "failed") == []
    await page.page.clock.run_for(30_000)
    await stand_in.until(lambda: stand_in.frames_from("anna", "leave"))
    assert len(await told(page.page, "failed")) == 1
