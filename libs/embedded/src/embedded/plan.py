"""What is to run where: which instances, on which ports."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from embedded.catalogue import GATEWAY, SERVICES, Service
from embedded.ports import LOOPBACK, free_port, require_free
from embedded.process import Spawn, execute
from embedded.record import Record
from embedded.servers import Ports

EVERYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104  compared with, not listened on


class Mode(StrEnum):
    """Who is let in."""

    OPEN = "open"
    """Everybody on this machine."""
    ENFORCED = "enforced"
    """Whoever shows who they are."""


@dataclass(frozen=True)
class Plan:
    """What the person at the command line, or a test, asked for."""

    data_dir: Path
    http_port: int | None = None
    """Of the first gateway; None takes a free one."""
    http_host: str = LOOPBACK
    """Where gateways listen; all else is on loopback."""
    nats_port: int | None = None
    replicas: Mapping[str, int] = field(default_factory=dict)
    """By service; one of each that is not named."""
    services: tuple[Service, ...] = SERVICES
    environment: Mapping[str, str] = field(default_factory=dict)
    """For the services, beside what they are always given."""
    postgres_settings: Mapping[str, str] = field(default_factory=dict)
    mode: Mode = Mode.OPEN
    otlp: str | None = None
    """Where spans go, any OTLP/HTTP receiver; None keeps them in a store of the suite's own."""
    spawn: Spawn = execute
    """How a service becomes a process."""


@dataclass(frozen=True)
class Instance:
    service: Service
    name: str
    port: int
    host: str = LOOPBACK
    """The address that it listens on."""

    @property
    def http(self) -> str:
        """Where it is reached from here, and, of an address that others know, from there too."""
        host = LOOPBACK if self.host in EVERYWHERE else self.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"


@dataclass(frozen=True)
class Layout:
    ports: Ports
    instances: tuple[Instance, ...]


def lay_out(plan: Plan, previous: Record | None) -> Layout:
    """Give everything a port of its own: the one asked for, else the one it had before, else a free one."""
    given = {port for port in (plan.http_port, plan.nats_port) if port is not None}

    def port(name: str) -> int:
        port = free_port(previous.port_of(name) if previous else None, besides=given)
        given.add(port)
        return port

    def instance(service: Service, number: int) -> Instance:
        name = f"{service.name}-{number}"
        host = plan.http_host if service.name == GATEWAY else LOOPBACK
        if service.name == GATEWAY and number == 1 and plan.http_port is not None:
            remedy = "stop it, or choose another with --http-port"
            return Instance(service, name, require_free(plan.http_port, "the gateway", remedy), host)
        return Instance(service, name, port(name), host)

    instances = tuple(
        instance(service, number)
        for service in plan.services
        for number in range(1, plan.replicas.get(service.name, 1) + 1)
    )
    nats = (
        port("nats")
        if plan.nats_port is None
        else require_free(plan.nats_port, "NATS", "stop it, or choose another with --nats-port")
    )
    traces = port("traces") if plan.otlp is None else None
    return Layout(Ports(nats, port("postgres"), port("redis"), traces), instances)
