"""Every knob of the gateway."""

import json
from ipaddress import ip_address
from typing import Annotated, Any, Self

from chassis.settings import RedisSettings, ServiceSettings, shared
from pydantic import BeforeValidator, model_validator
from pydantic_settings import NoDecode, SettingsConfigDict


def _listed(value: Any) -> Any:
    """Take a JSON list or words between commas."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return json.loads(value)
    return [word.strip() for word in value.split(",") if word.strip()]


Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)]


class Settings(RedisSettings, ServiceSettings):
    """Read once, at the start."""

    model_config = SettingsConfigDict(env_prefix="SIGNALING_GATEWAY_")

    http_host: str = shared("HTTP_HOST", "P2P_SERVICE_HOST", default="127.0.0.1")
    http_port: int = shared("HTTP_PORT", "P2P_SERVICE_PORT", default=8001)

    open_to_network: bool = False
    """Nobody is asked who they are, so only this machine may connect; unless this says that something else keeps
    strangers away from the address, such as a container's port published on loopback."""

    cors_origins: Words = shared("CORS_ORIGINS", default=())
    """Origins of web pages that may call, beside our own; `*` lets every page."""

    stun_servers: Words = shared("STUN_SERVER", default=())
    """stun: URLs; without one, peers find each other on a local network only. No public server is anyone's default."""

    turn_servers: Words = shared("TURN_SERVER", default=())
    """turn: and turns: URLs."""

    turn_secret: str = shared("TURN_SECRET", default="", repr=False)
    """Shared with the TURN server (coturn's `static-auth-secret`): credentials are made of it, each for one hour."""

    enable_p2p: bool = shared("ENABLE_P2P", default=True)

    @model_validator(mode="after")
    def _open_on_loopback_only(self) -> Self:
        if not (self.open_to_network or _is_loopback(self.http_host)):
            raise ValueError(
                f"in open mode anybody who reaches {self.http_host} may do anything: listen on 127.0.0.1, or, if the "
                "address is out of strangers' reach (a container's port published on loopback), set "
                "SIGNALING_GATEWAY_OPEN_TO_NETWORK=true"
            )
        return self


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
