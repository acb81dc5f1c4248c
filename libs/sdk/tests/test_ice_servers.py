"""Which STUN and TURN servers the host's connections use."""

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection
from contracts.frames import IceServer
from sdk import player as player_module

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
