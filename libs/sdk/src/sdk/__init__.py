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
from sdk.channel import PlayerChannel
from sdk.errors import (
    ChannelClosedError,
    NotAllowedError,
    P2pError,
    RefusedError,
    ReplacedError,
    UnreachableError,
)
from sdk.host_agent import HostAgent, OnClose

__all__ = [
    "AgentEvent",
    "BeatFailed",
    "BeatStored",
    "ChannelClosedError",
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
