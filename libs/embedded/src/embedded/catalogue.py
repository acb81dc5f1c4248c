"""The six services: how each is started, and what must be ready before it."""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

GATEWAY = "signaling_gateway"


@dataclass(frozen=True)
class Service:
    name: str
    command: tuple[str, ...]
    after: frozenset[str] = frozenset()
    """It is started when these are ready."""


def _service(name: str, *after: str) -> Service:
    # -P: a folder of that name in the caller's directory is not the service.
    return Service(name, (sys.executable, "-P", "-m", name), frozenset(after))


SERVICES = (
    _service("host_registry"),
    _service("scheduler"),
    _service("zone_manager"),
    _service("session_manager"),
    # Nobody needs it to start; beside the gateway it takes no time of its own.
    _service("prober", "host_registry", "scheduler", "zone_manager", "session_manager"),
    # The door opens last. Behind it all start side by side: what one asks another at work, it does not ask to start,
    # and on two cores each wave more costs a second.
    _service(GATEWAY, "host_registry", "scheduler", "zone_manager", "session_manager"),
)


def waves(services: Iterable[Service]) -> Iterator[tuple[Service, ...]]:
    """Those that can start side by side, wave after wave."""
    left = list(services)
    ready: set[str] = set()
    while left:
        wave = tuple(service for service in left if service.after <= ready)
        if not wave:
            raise ValueError(f"they wait for one another: {', '.join(service.name for service in left)}")
        yield wave
        left = [service for service in left if service not in wave]
        ready |= {service.name for service in wave}
