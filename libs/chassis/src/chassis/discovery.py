"""Answers `$SRV.PING|INFO|STATS`, NATS's services API, so that `nats micro ls|info|stats` shows the suite."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from chassis.bus import Bus
from chassis.endpoint import NO_INBOXES, Endpoint

_RESPONSE = "io.nats.micro.v1.{}_response"

Json = dict[str, object]


class Discovery:
    """What one instance says about itself, to whoever asks all, all of its service, or just this one."""

    def __init__(self, bus: Bus, service: str, version: str, instance: str, endpoints: Sequence[Endpoint]) -> None:
        self._bus = bus
        self._identity: Json = {"name": service, "id": instance, "version": version, "metadata": {}}
        self._endpoints = endpoints
        self._started = datetime.now(UTC)
        self._subscriptions: list[Subscription] = []

    async def start(self) -> None:
        self._started = datetime.now(UTC)
        service, instance = self._identity["name"], self._identity["id"]
        for verb, say in (("PING", self._ping), ("INFO", self._describe), ("STATS", self._count)):

            async def answer(msg: Msg, say: Callable[[], Json] = say) -> None:
                if msg.reply and not msg.reply.startswith(NO_INBOXES):
                    await self._bus.send(msg.reply, json.dumps(say()).encode(), "", None)

            for subject in (f"$SRV.{verb}", f"$SRV.{verb}.{service}", f"$SRV.{verb}.{service}.{instance}"):
                self._subscriptions.append(await self._bus.subscribe_raw(subject, answer))

    async def stop(self) -> None:
        for subscription in self._subscriptions:
            await subscription.unsubscribe()

    def _ping(self) -> Json:
        return self._identity | {"type": _RESPONSE.format("ping")}

    def _describe(self) -> Json:
        endpoints = [self._named(endpoint) | {"metadata": {}} for endpoint in self._endpoints]
        return self._identity | {"type": _RESPONSE.format("info"), "description": "", "endpoints": endpoints}

    def _count(self) -> Json:
        counts = [self._named(endpoint) | _counts(endpoint) for endpoint in self._endpoints]
        started = self._started.isoformat(timespec="microseconds").replace("+00:00", "Z")
        return self._identity | {"type": _RESPONSE.format("stats"), "started": started, "endpoints": counts}

    def _named(self, endpoint: Endpoint) -> Json:
        subject = endpoint.rpc.subject
        return {"name": subject.replace(".", "_"), "subject": subject, "queue_group": endpoint.queue}


def _counts(endpoint: Endpoint) -> Json:
    nanoseconds = int(endpoint.seconds * 1e9)
    return {
        "num_requests": endpoint.requests,
        "num_errors": endpoint.errors,
        "last_error": endpoint.last_error,
        "processing_time": nanoseconds,
        "average_processing_time": nanoseconds // max(1, endpoint.requests),
        "data": None,  # nats-py's own reader of statistics falls over one without
    }
