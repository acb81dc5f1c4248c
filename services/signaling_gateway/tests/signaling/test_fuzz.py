"""Whatever clients of either dialect send, and however they come and go: no dead socket, and nothing left behind."""

import asyncio
import gc
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any, ClassVar
from urllib.parse import urlencode

import httpx
import pytest
from chassis.bus import Bus, connect_bus
from chassis.requests import call
from contracts.access import KICK, Kick
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from signaling_gateway.access.revocations import Kick as HeldKick
from signaling_gateway.peers.warp import USER_AGENT
from testkit.clients import connect, http_client
from testkit.eventually import eventually
from testkit.patience import within
from testkit.portal import Portal
from testkit.servers import TestServers
from testkit.thoroughness import examples
from websockets import ConnectionClosed

from services.signaling_gateway.tests.signaling import fuzzing
from services.signaling_gateway.tests.signaling.client import Peer
from services.signaling_gateway.tests.signaling.gateways import gateway
from services.signaling_gateway.tests.signaling.owners import Owners, owning

KEY = "Hn5wQ2rT8yU1iO4pA7sD0fG3hJ6kL9zX-cV"
ENFORCED: dict[str, Any] = {
    "mode": "enforced",
    "jwt_secret_key": "k3Zq9vXw2LmPpR7tYb4NcD8sFh1JgA6uE0iOQ5Wx",
    "warp_anonymous": True,
    "warp_peer_ids": "9[0-9]+",
    "limits_enabled": False,
}

REASONS = {1003, 1008, 1009, 4001}
"""Codes of a close that the contract has: not readable, not allowed, too large, replaced."""

SEATS = st.integers(0, 2)
"""Whose socket; what is drawn must not depend on which of them were closed meanwhile."""

SHOWING = ["token", "token", "token and name", "name", "host's token", "another's token", "no token at all", "nothing"]
"""The first is drawn most often: who is turned away does not get far."""

_NUMBERS = count(1)


@dataclass
class World:
    """A gateway and its owners, in the portal's loop."""

    portal: Portal
    url: str
    client: httpx.AsyncClient
    bus: Bus
    owners: Owners
    tasks: int = 0
    """How many it has when nobody is there."""

    async def token(self, **wish: Any) -> str | None:
        """A peer's token; None for one who may have none at present."""
        response = await self.client.post("/api/v1/auth/token", json=wish)
        assert response.status_code in {200, 403}, response.text
        made: str | None = response.json().get("token")
        return made

    async def dial(self, asked: dict[str, str], *, as_game_client: bool) -> Peer:
        url = f"{self.url.replace('http', 'ws', 1)}/api/v1/signaling/ws?{urlencode(asked)}"
        named: dict[str, Any] = {"user_agent_header": USER_AGENT.decode()} if as_game_client else {}
        return Peer(await connect(url, compression=None, max_size=None, **named), None)

    async def is_empty(self) -> bool:
        stats = (await self.client.get("/api/v1/signaling/stats")).json()
        assert (stats["active_connections"], stats["active_sessions"]) == (0, 0)
        if self.tasks:
            assert len(asyncio.all_tasks()) <= self.tasks, asyncio.all_tasks()
        return True


class Clients(RuleBasedStateMachine):
    """A few sockets of one gateway, of peers that are met again and again."""

    world: ClassVar[World]
    seen: ClassVar[Counter[str]]
    """What became of frames and sockets, over all runs."""

    def __init__(self) -> None:
        super().__init__()
        self.sockets: dict[int, Peer] = {}
        self.markers = count(1)

    @initialize()
    def begin(self):
        """A host, and its session in a zone with two players in it, who have met."""
        self.number = next(_NUMBERS)
        self.world.owners.add_host(self._in(fuzzing.HOST))
        self.session = self.world.owners.add_session(
            0xF000 + self.number, self._in(fuzzing.HOST), zone_id=self._in(fuzzing.ZONE)
        )
        for who in (0, 1):
            self.come(who, "token", fuzzing.PLAYERS[who], fuzzing.SESSION, as_game_client=False)

    @rule(
        who=SEATS,
        showing=st.sampled_from(SHOWING),
        name=st.sampled_from(fuzzing.PLAYERS + fuzzing.GAME_CLIENTS),
        session=st.sampled_from([None, fuzzing.SESSION, fuzzing.SESSION, fuzzing.ROOM]),
        as_game_client=st.booleans(),
    )
    def come(self, who, showing, name, session, as_game_client):
        self.go(who, None)
        asked = self._run(self._asked(showing, self._in(name)))
        if session is not None:
            asked["session_id"] = self._in(session)
        self.sockets[who] = self._run(self.world.dial(asked, as_game_client=as_game_client))
        self.seen[showing] += 1

    @rule(who=SEATS, frame=fuzzing.usable | fuzzing.mutated | fuzzing.incomplete)
    def say(self, who, frame):
        self._send(who, self._in(frame))

    @rule(who=SEATS, frame=fuzzing.usable)
    def say_what_is_usable(self, who, frame):
        """Twice as often as Hypothesis would choose it: only who is somewhere can be thrown out."""
        self._send(who, self._in(frame))

    @rule(who=SEATS, frame=fuzzing.senseless)
    def say_what_makes_no_sense(self, who, frame):
        self._send(who, self._in(frame) if isinstance(frame, str) else frame)

    @rule(who=SEATS, frames=st.sampled_from([[b"\0"] * 10, ["x" * 1_100_000]]))
    def go_too_far(self, who, frames):
        """Ten that cannot be read, or one that is too large: the connection is over."""
        for frame in frames:
            self._send(who, frame)
        if who in self.sockets:
            self._closed(who, self._run(self.sockets[who].close_code()))

    @rule(who=SEATS, rest=st.sampled_from([None, b"", b"\x81", b"\x81\xfe\x01", b"\x88\x82"]))
    def go(self, who, rest):
        """With a goodbye, or without one, in the middle of a frame perhaps, or of the goodbye."""
        if who in self.sockets:
            self._run(self._end(self.sockets.pop(who), rest))
            self.seen["gone"] += 1

    @rule(name=st.sampled_from([fuzzing.PLAYERS[1], fuzzing.GAME_CLIENTS[1], fuzzing.HOST]))
    def kick(self, name):
        """Not everybody: who is out does not get far."""
        self._run(call(self.world.bus, KICK, Kick(peer_id=self._in(name))))

    @rule(ends=st.booleans())
    def its_host_goes(self, ends):
        """Its session ends, or plays on the central server."""
        owners = self.world.owners
        self._run(owners.end(self.session) if ends else owners.fall_back(self.session))

    @invariant()
    def every_socket_answers_or_was_closed_for_a_reason(self):
        for who in list(self.sockets):
            self._run(self._answers(who))

    def teardown(self):
        self._run(self._leave())

    def _in(self, words: str) -> str:
        return words.replace(fuzzing.SESSION, getattr(self, "session", "")).replace("@", str(self.number))

    def _run(self, work: Any) -> Any:
        return self.world.portal.run(work)

    def _send(self, who: int, frame: str | bytes) -> None:
        if who in self.sockets:
            self._run(self._said(self.sockets[who], frame))

    async def _said(self, socket: Peer, frame: str | bytes) -> None:
        try:
            await socket.say_raw(frame)
        except ConnectionClosed:
            return  # the invariant asks why

    async def _asked(self, showing: str, name: str) -> dict[str, str]:
        """What the URL says."""
        asked: dict[str, str | None] = {}
        match showing:
            case "token" | "token and name":
                asked["token"] = await self.world.token(player_id=name)
            case "host's token":
                asked["token"] = await self.world.token(player_id="owner", role="host", host_id=self._in(fuzzing.HOST))
            case "another's token":
                asked["token"] = await self.world.token(player_id="eve")
            case "no token at all":
                asked["token"] = "a.b.c"
        if showing in {"name", "token and name", "another's token"}:
            asked["peer_id"] = name
        return {key: value for key, value in asked.items() if value is not None}

    async def _end(self, socket: Peer, rest: bytes | None) -> None:
        if rest is None:
            await socket.close()
        elif rest:
            socket.socket.transport.write(rest)
            socket.socket.transport.close()
        else:
            socket.socket.transport.abort()

    async def _answers(self, who: int) -> None:
        """A ping is answered; one of the game client's dialect has no word for that, and names what it doesn't know."""
        socket, marker = self.sockets[who], f"marker {next(self.markers)}"
        try:
            await socket.say("ping", id=marker)
            await socket.say(marker)
            heard = []
            async with within(5):
                while (frame := await socket.hear()).get("message") != f"Unknown message type: {marker}":
                    heard.append(frame)
        except ConnectionClosed as closed:
            self._closed(who, closed.rcvd.code if closed.rcvd is not None else None)
            return
        assert {"type": "pong", "id": marker} in heard or frame.keys() == {"type", "message"}, (heard, frame)
        self.seen.update(one["type"] for one in heard)

    def _closed(self, who: int, code: int | None) -> None:
        del self.sockets[who]
        assert code in REASONS
        self.seen[str(code)] += 1

    async def _leave(self) -> None:
        await asyncio.gather(*(socket.close() for socket in self.sockets.values()))
        await eventually(self.world.is_empty, of="an empty gateway")


def living() -> Counter[str]:
    """Objects of the gateway's own classes, by class; but for kicks, which are to be remembered."""
    gc.collect()
    return Counter(
        f"{type(found).__module__}.{type(found).__qualname__}"
        for found in gc.get_objects()
        if str(type(found).__module__).startswith("signaling_gateway") and type(found) is not HeldKick
    )


@pytest.fixture(params=[{}, ENFORCED], ids=["open", "enforced"])
def world(request: pytest.FixtureRequest, servers: TestServers) -> Iterator[World]:
    portal = Portal()
    changes = {"coordinator_api_key": KEY, "warp_upgrade_delay_s": 0.0, **request.param}
    with (
        portal.holding(connect_bus(servers.nats.url, "fuzzer")) as bus,
        portal.holding(owning(servers.nats.url)) as owners,
        portal.holding(gateway(servers, **changes)) as url,
        portal.holding(http_client(base_url=url, headers={"X-API-Key": KEY})) as client,
    ):
        yield World(portal, url, client, bus, owners)
    portal.close()


async def _come_and_go(world: World) -> None:
    """What is made once for the first socket is there from now on."""
    socket = await world.dial({}, as_game_client=False)
    await socket.close()
    await eventually(world.is_empty)
    world.tasks = len(asyncio.all_tasks())


def test_no_clients_leave_a_dead_socket_or_anything_behind(world: World):
    Clients.world, Clients.seen = world, Counter()
    world.portal.run(_come_and_go(world))
    before = living()

    run_state_machine_as_test(
        Clients,
        settings=settings(
            max_examples=examples(20),
            stateful_step_count=30,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )

    def nothing_left() -> bool:
        assert living() - before == Counter()
        return True

    world.portal.run(eventually(nothing_left, within=10, of="nothing left behind"))
    # They came where it might have gone wrong.
    assert {"session-joined", "peer-joined", "peer-left", "1008", "4001"} <= Clients.seen.keys()
