"""Clients for other people's programs: host agent, game server, AI server."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

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
from sdk.errors import (
    ChannelClosedError,
    CredentialsError,
    NotAllowedError,
    NotAssignedError,
    NotHostedError,
    P2pError,
    RefusedError,
    ReplacedError,
    StaleEpochError,
    UnreachableError,
)
from sdk.facts import Event
from sdk.game_server import GameServer
from sdk.tokens import Credentials, ServerKey, TokenDesk, TokenSupplier

if TYPE_CHECKING:
    from sdk.channel import PlayerChannel
    from sdk.host_agent import HostAgent, OnClose

__all__ = [
    "AgentEvent",
    "AiServer",
    "BeatFailed",
    "BeatStored",
    "ChannelClosedError",
    "Credentials",
    "CredentialsError",
    "Event",
    "GameServer",
    "HostAgent",
    "NotAllowedError",
    "NotAssignedError",
    "NotHostedError",
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
    "ServerKey",
    "SignalingConnected",
    "SignalingLost",
    "StaleEpochError",
    "TokenDesk",
    "TokenSupplier",
    "UnreachableError",
]

_WITH_WEBRTC = {"HostAgent": "sdk.host_agent", "OnClose": "sdk.host_agent", "PlayerChannel": "sdk.channel"}
"""Imported when they are first named: aiortc takes a third of a second, and only hosts have a use for it."""


def __getattr__(name: str) -> Any:
    if name not in _WITH_WEBRTC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_WITH_WEBRTC[name]), name)
