"""Peers without a WebSocket: what is sent is kept for a minute, and reaches a socket at once where there is one."""

import pytest
import pytest_asyncio
from testkit.eventually import eventually

from services.signaling_gateway.tests.signaling.client import dial, joined, leaving
from services.signaling_gateway.tests.signaling.owners import Owners

pytestmark = pytest.mark.asyncio(loop_scope="module")

API = "/api/v1/signaling"


@pytest_asyncio.fixture(loop_scope="module")
async def client(here, client_of):
    async with client_of(here) as client:
        yield client


@pytest.fixture
def host_id(owners: Owners, number: int) -> str:
    owners.add_host(f"host-{number}", peer_id=f"peer-of-host-{number}")
    return f"host-{number}"


@pytest_asyncio.fixture(loop_scope="module")
async def session(owners: Owners, host_id, number, name) -> str:
    """With two players that joined over REST."""
    session_id = owners.add_session(number, host_id)
    await owners.seat(session_id, name("ann"))
    await owners.seat(session_id, name("bob"))
    return session_id


async def test_two_peers_connect_by_http_alone(client, session, name):
    ann, bob = name("ann"), name("bob")
    sent = await client.post(f"{API}/offer", json={"session_id": session, "peer_id": ann, "sdp": "v=0", "to": bob})
    assert (sent.status_code, sent.json()) == (200, {"session_id": session, "delivered": False})
    offer = await client.get(f"{API}/offer/{session}", params={"peer_id": bob})
    assert (offer.status_code, offer.json()) == (200, {"peer_id": ann, "sdp": "v=0"})
    answer = {"session_id": session, "peer_id": bob, "sdp": {"type": "answer", "sdp": "v=0"}, "to": ann}
    await client.post(f"{API}/answer", json=answer)
    got = await client.get(f"{API}/answer/{session}", params={"peer_id": ann})
    assert got.json() == {"peer_id": bob, "sdp": {"type": "answer", "sdp": "v=0"}}


@pytest.mark.parametrize("to", ["bob", None])
async def test_the_answer_to_an_earlier_offer_is_none_to_the_next(client, session, name, to):
    ann, bob = name("ann"), name("bob")
    receiver = {"to": name(to)} if to else {}

    async def offer(sdp):
        await client.post(f"{API}/offer", json={"session_id": session, "peer_id": ann, "sdp": sdp} | receiver)

    async def answered():
        answer = await client.get(f"{API}/answer/{session}", params={"peer_id": ann})
        return answer.json().get("sdp", answer.json().get("code"))

    await offer("first")
    await client.post(f"{API}/answer", json={"session_id": session, "peer_id": bob, "sdp": "to the first", "to": ann})
    await offer("first")  # the reply was lost
    assert await answered() == "to the first"
    await offer("second")
    assert await answered() == "answer_not_found"
    await client.post(f"{API}/answer", json={"session_id": session, "peer_id": bob, "sdp": "to the second", "to": ann})
    assert await answered() == "to the second"


async def test_candidates_are_read_from_where_one_left_off(client, session, name):
    ann, bob = name("ann"), name("bob")
    for candidate in ("one", {"candidate": "two"}):
        body = {"session_id": session, "peer_id": ann, "candidate": candidate}
        assert (await client.post(f"{API}/ice-candidate", json=body)).status_code == 200
    first = (await client.get(f"{API}/ice-candidates/{session}", params={"peer_id": bob})).json()
    assert [entry["candidate"] for entry in first["candidates"]] == ["one", {"candidate": "two"}]
    assert {entry["peer_id"] for entry in first["candidates"]} == {ann}
    await client.post(f"{API}/ice-candidate", json={"session_id": session, "peer_id": ann, "candidate": "three"})
    later = await client.get(f"{API}/ice-candidates/{session}", params={"peer_id": bob, "after": first["after"]})
    assert [entry["candidate"] for entry in later.json()["candidates"]] == ["three"]
    own = await client.get(f"{API}/ice-candidates/{session}", params={"peer_id": ann})
    assert own.json()["candidates"] == []


async def test_the_newest_offer_meant_for_the_reader_is_given(client, session, name, host_id):
    ann, bob = name("ann"), name("bob")
    for sender, sdp, to in ((ann, "to all", None), (ann, "to host", host_id), (bob, "own", None), (ann, "to bob", bob)):
        body = {"session_id": session, "peer_id": sender, "sdp": sdp, "to": to}
        assert (await client.post(f"{API}/offer", json=body)).status_code == 200

    async def read(reader):
        return (await client.get(f"{API}/offer/{session}", params={"peer_id": reader})).json()["sdp"]

    assert await read(bob) == "to bob"
    assert await read(ann) == "own"
    assert await read(host_id) == "to host"


async def test_an_offer_by_http_reaches_a_socket_at_once(client, there, session, name):
    ann, bob = name("ann"), name("bob")
    socket = await joined(there, bob, session)
    async with leaving(socket):
        body = {"session_id": session, "peer_id": ann, "sdp": "v=0", "to": bob}
        assert (await client.post(f"{API}/offer", json=body)).json()["delivered"] is True
        assert (await socket.hear_until("offer"))["from"] == ann
        await socket.say("answer", to=ann, sdp="from a socket")
        await socket.hears_nothing_more()
    got = await client.get(f"{API}/answer/{session}", params={"peer_id": ann})
    assert got.json() == {"peer_id": bob, "sdp": "from a socket"}


async def test_an_offer_to_nobody_in_particular_reaches_the_hosts_socket(client, there, session, host_id, name):
    host = await dial(there, f"peer-of-{host_id}")
    async with leaving(host):
        await host.hear("session-assigned")
        body = {"session_id": session, "peer_id": name("ann"), "sdp": "v=0"}

        async def delivered() -> bool:
            """The other gateway has it from Redis where the socket is, which is told it after the socket."""
            return (await client.post(f"{API}/offer", json=body)).json()["delivered"]

        await eventually(delivered, of="an offer that reaches the host")
        offer = await host.hear_until("offer")
        assert (offer["from"], offer["session_id"]) == (name("ann"), session)
        await host.say("answer", to=name("ann"), session_id=session, sdp="from the host")
        await host.hears_nothing_more()
    got = await client.get(f"{API}/answer/{session}", params={"peer_id": name("ann")})
    assert got.json() == {"peer_id": f"peer-of-{host_id}", "sdp": "from the host"}


async def test_a_host_that_asks_over_http_gets_what_sockets_send_it(client, here, session, host_id, name):
    ann = await joined(here, name("ann"), session)
    async with leaving(ann):
        await ann.say("offer", to=host_id, sdp="lost")
        await ann.hear_until("error")
        nothing = await client.get(f"{API}/offer/{session}", params={"peer_id": host_id})
        assert (nothing.status_code, nothing.json()["code"]) == (404, "offer_not_found")
        await ann.say("offer", to=host_id, sdp="kept")
        await ann.hears_nothing_more()
        got = await client.get(f"{API}/offer/{session}", params={"peer_id": host_id})
        assert got.json() == {"peer_id": name("ann"), "sdp": "kept"}


async def test_members_of_a_room_may_use_http_beside_their_sockets(client, here, room, name):
    ann, bob = await joined(here, name("ann"), room), await joined(here, name("bob"), room)
    async with leaving(ann, bob):
        body = {"session_id": room, "peer_id": name("ann"), "sdp": "v=0", "to": name("bob")}
        assert (await client.post(f"{API}/offer", json=body)).json()["delivered"] is True
        assert (await bob.hear("offer"))["from"] == name("ann")


@pytest.mark.parametrize(
    "change, status, code",
    [
        ({"peer_id": "eve"}, 403, "forbidden"),
        ({"to": "eve"}, 404, "peer_not_found"),
        ({"session_id": "session-ffffffffffffffff"}, 404, "session_not_found"),
        ({"session_id": "no-such-room"}, 404, "session_not_found"),
        ({"session_id": "a/b"}, 422, "invalid"),
        ({"peer_id": ""}, 422, "invalid"),
        ({"sdp": None}, 422, "invalid"),
        ({"sdp": "x" * 70_000}, 422, "invalid"),
    ],
)
async def test_only_members_signal_and_only_what_can_be_one(client, session, name, change, status, code):
    body = {"session_id": session, "peer_id": name("ann"), "sdp": "v=0", "to": name("bob")} | change
    answer = await client.post(f"{API}/offer", json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_nothing_is_read_by_strangers_or_when_nothing_is_there(client, session, name):
    stranger = await client.get(f"{API}/offer/{session}", params={"peer_id": "eve"})
    assert (stranger.status_code, stranger.json()["code"]) == (403, "forbidden")
    for kind in ("offer", "answer"):
        nothing = await client.get(f"{API}/{kind}/{session}", params={"peer_id": name("ann")})
        assert (nothing.status_code, nothing.json()["code"]) == (404, f"{kind}_not_found")
    odd = await client.get(f"{API}/ice-candidates/{session}", params={"after": "soon"})
    assert odd.status_code == 422


async def test_everybody_may_ask_for_the_ice_servers_and_the_counts(client, here, room, name):
    servers = (await client.get(f"{API}/ice-servers")).json()
    assert servers == {"ice_servers": [{"urls": ["stun:stun.example.org:3478"]}]}
    before = (await client.get(f"{API}/stats")).json()
    ann = await joined(here, name("ann"), room)
    async with leaving(ann):
        now = (await client.get(f"{API}/stats")).json()
        assert now["active_connections"] == before["active_connections"] + 1
        assert now["active_sessions"] == before["active_sessions"] + 1


@pytest.mark.parametrize("kind", ["offer", "answer", "ice-candidate"])
async def test_content_nested_beyond_reason_is_kept_for_nobody(client, session, name, kind):
    content = "candidate" if kind == "ice-candidate" else "sdp"
    body = f'{{"session_id": "{session}", "peer_id": "{name("ann")}", "{content}": {"[" * 40}{"]" * 40}}}'
    sent = await client.post(f"{API}/{kind}", content=body, headers={"Content-Type": "application/json"})
    assert (sent.status_code, sent.json()["code"]) == (422, "invalid")


async def test_the_end_of_candidates_is_taken_as_on_a_socket(client, here, session, name):
    bob = await joined(here, name("bob"), session)
    async with leaving(bob):
        body = {"session_id": session, "peer_id": name("ann"), "candidate": None, "to": name("bob")}
        assert (await client.post(f"{API}/ice-candidate", json=body)).status_code == 200
        assert (await bob.hear("ice-candidate"))["candidate"] is None
    kept = (await client.get(f"{API}/ice-candidates/{session}", params={"peer_id": name("bob")})).json()
    assert kept["candidates"] == [{"peer_id": name("ann"), "candidate": None}]
    assert (await client.post(f"{API}/offer", json={**body, "sdp": None})).status_code == 422
