"""Clients for other people's programs: host agent, game server, AI server."""

from sdk.agent_events import (
    AgentEvent,
    BeatFailed,
    BeatStored,
    PlayerArriving,
    PlayerConnected,
    PlayerFailed,
    PlayerGone,
    Registered,
    SignalingConnected,
    SignalingLost,
)
from sdk.ai_server import AiServer
from sdk.channel import PlayerChannel
from sdk.errors import (
    ChannelClosedError,
    NotAllowedError,
    P2pError,
    RefusedError,
    ReplacedError,
    UnreachableError,
)
from sdk.facts import Event
from sdk.game_server import GameServer
from sdk.host_agent import HostAgent, OnClose

__all__ = [
    "AgentEvent",
    "AiServer",
    "BeatFailed",
    "BeatStored",
    "ChannelClosedError",
    "Event",
    "GameServer",
    "HostAgent",
    "NotAllowedError",
    "OnClose",
    "P2pError",
    "PlayerArriving",
    "PlayerChannel",
    "PlayerConnected",
    "PlayerFailed",
    "PlayerGone",
    "RefusedError",
    "Registered",
    "ReplacedError",
    "SignalingConnected",
    "SignalingLost",
    "UnreachableError",
]
