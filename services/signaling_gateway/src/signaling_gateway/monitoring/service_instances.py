"""Which instances of which services are there, by what they say to `$SRV.PING`."""

import time
from collections.abc import Mapping

import orjson
import structlog
from chassis.bus import Bus
from nats.aio.msg import Msg

log = structlog.stdlib.get_logger()

PING = "$SRV.PING"

GONE_AFTER_S = 12.0
"""Two rounds of 5 s without an answer, and a little."""


class ServiceInstances:
    """Kept by asking all from time to time; `ping` is a round, `listen` hears the answers."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._inbox = bus.client.new_inbox()
        self._seen: dict[tuple[str, str], float] = {}

    async def listen(self) -> None:
        await self._bus.subscribe(self._inbox, self._hear)

    async def ping(self) -> None:
        """Ask everybody to say that they are there."""
        await self._bus.publish(PING, reply=self._inbox)

    def instances(self) -> Mapping[str, int]:
        """How many of each service answered lately."""
        since = time.monotonic() - GONE_AFTER_S
        self._seen = {who: at for who, at in self._seen.items() if at >= since}
        found: dict[str, int] = {}
        for service, _ in sorted(self._seen):
            found[service] = found.get(service, 0) + 1
        return found

    async def _hear(self, msg: Msg) -> None:
        if not msg.data:  # nobody is there
            return
        said = orjson.loads(msg.data)
        self._seen[said["name"], said["id"]] = time.monotonic()
