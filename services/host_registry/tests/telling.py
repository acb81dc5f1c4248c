"""What other services tell the registry over NATS."""

from datetime import UTC, datetime
from uuid import uuid4

from chassis.bus import Bus
from chassis.jetstream import publish
from chassis.requests import call
from contracts.gateway import PEER_CONNECTED, PeerPresence
from contracts.hosts import GET_HOST, NameHost
from contracts.subjects import Fact
from testkit.eventually import eventually


async def tell(bus: Bus, subject: str, fact: Fact) -> None:
    await publish(bus, subject, fact.model_dump_json().encode(), message_id=fact.event_id)


def presence(host_id: str, revision: int) -> PeerPresence:
    return PeerPresence(
        event_id=str(uuid4()),
        occurred_at=datetime.now(UTC),
        revision=revision,
        gateway_id="gw-1",
        connection_id="0198-1",
        peer_id=host_id,
        session_id=None,
        host_id=host_id,
    )


async def open_socket(bus: Bus, host_id: str) -> None:
    """Tell that the host has a socket, until the registry knows."""
    await tell(bus, PEER_CONNECTED.of(gateway_id="gw-1"), presence(host_id, 1))

    async def there() -> bool:
        return (await call(bus, GET_HOST, NameHost(host_id=host_id))).connected

    await eventually(there)
