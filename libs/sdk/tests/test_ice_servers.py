"""Which STUN and TURN servers the host's connections use."""

from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection
from contracts.frames import IceServer
from sdk import ice_servers as ice_servers_module
from sdk import player as player_module
from sdk.errors import UnreachableError
from sdk.ice_servers import USED_FOR_S, IceServers

from libs.sdk.tests.aiortc_player import aiortc_player
from libs.sdk.tests.test_host_agent import agent_for

TURN = {"urls": ["turn:turn.example:3478?transport=udp"], "username": "u", "credential": "c"}


@pytest.fixture
def configurations(monkeypatch):
    """The configurations that the host's connections are made with; the connections themselves get no server."""
    made = []

    def noted(configuration):
        made.append(configuration)
        return RTCPeerConnection(RTCConfiguration(iceServers=[]))

    monkeypatch.setattr(player_module, "RTCPeerConnection", noted)
    return made


async def test_the_gateways_servers_are_used(stand_in, configurations):
    stand_in.ice_servers = [TURN]
    async with agent_for(stand_in), aiortc_player(stand_in.url, "anna") as anna:
        await anna.enter("prontera")
    (server,) = configurations[0].iceServers
    assert (server.urls, server.username, server.credential) == (TURN["urls"], "u", "c")


async def test_without_any_no_public_server_is_asked(stand_in, configurations):
    async with agent_for(stand_in), aiortc_player(stand_in.url, "anna") as anna:
        await anna.enter("prontera")
    assert configurations[0].iceServers == []


async def test_servers_given_by_the_program_win(stand_in, configurations):
    stand_in.ice_servers = [TURN]
    own = (IceServer(urls=("stun:stun.example",)),)
    async with agent_for(stand_in, ice_servers=own), aiortc_player(stand_in.url, "anna") as anna:
        await anna.enter("prontera")
    assert [server.urls for server in configurations[0].iceServers] == [["stun:stun.example"]]


@dataclass
class Gateway:
    """Gives credentials that last so long from when they are asked for."""

    lasting_s: float | None
    now: float = 0.0
    asked: list[float] = field(default_factory=list)
    away: bool = False

    async def ice_servers(self):
        self.asked.append(self.now)
        if self.away:
            raise UnreachableError("http://gateway", "away")
        username = "anna" if self.lasting_s is None else f"{int(self.time() + self.lasting_s)}:host.session"
        return (IceServer(urls=("turn:t.example",), username=username, credential="c"),)

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return 1_700_000_000 + self.now


@pytest.mark.parametrize(("lasting_s", "every_s"), [(None, USED_FOR_S), (3600, USED_FOR_S), (60, 30), (600, 300)])
async def test_they_are_asked_for_again_long_before_their_credentials_end(lasting_s, every_s, monkeypatch):
    gateway = Gateway(lasting_s)
    monkeypatch.setattr(ice_servers_module, "time", gateway)
    servers = IceServers(cast(Any, gateway), None)

    for gateway.now in (0, every_s - 1, every_s, every_s * 2 - 1, every_s * 2):
        await servers.now()

    assert gateway.asked == [0, every_s, every_s * 2]


async def test_while_the_gateway_is_away_those_of_before_are_used(monkeypatch):
    gateway = Gateway(60)
    monkeypatch.setattr(ice_servers_module, "time", gateway)
    servers = IceServers(cast(Any, gateway), None)
    before = await servers.now()
    gateway.now, gateway.away = 31, True

    assert await servers.now() == before
    assert gateway.asked == [0, 31]
