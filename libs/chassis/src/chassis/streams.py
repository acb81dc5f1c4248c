"""Declaring the JetStream streams: here and nowhere else, so that nobody overwrites their settings."""

import asyncio

import structlog
from contracts.streams import ALL, Stream
from nats.errors import Error as NatsError
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import NotFoundError

from chassis.bus import Bus

log = structlog.stdlib.get_logger()

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 2.0
"""JetStream is there some seconds after NATS in a cluster that elects a leader."""


async def declare_streams(bus: Bus) -> None:
    """Create the streams that are missing and bring the others' settings up to date, once JetStream is there.

    May be called by all at once. How many replicas a stream has that exists is left to whoever runs the cluster.
    """
    pause_s = FIRST_PAUSE_S
    while True:
        try:
            for stream in ALL:
                await _declare(bus, stream.name, _config(stream, bus.replicas))
        except NatsError as error:
            log.warning("stream.not_declared", error=str(error) or type(error).__name__)
        else:
            return
        await asyncio.sleep(pause_s)
        pause_s = min(LONGEST_PAUSE_S, pause_s * 2)


async def _declare(bus: Bus, name: str, wanted: StreamConfig) -> None:
    streams = bus.client.jsm()
    try:
        present = (await streams.stream_info(name)).config
    except NotFoundError:
        await streams.add_stream(wanted)  # the same settings twice are one stream, whoever comes first
        log.info("stream.created", stream=name)
        return
    if _differs(present, wanted):
        await streams.update_stream(
            present.evolve(
                subjects=wanted.subjects,
                max_age=wanted.max_age,
                max_msgs_per_subject=wanted.max_msgs_per_subject,
                duplicate_window=wanted.duplicate_window,
            )
        )
        log.info("stream.updated", stream=name)


def _differs(present: StreamConfig, wanted: StreamConfig) -> bool:
    return (
        sorted(present.subjects or []) != sorted(wanted.subjects or [])
        or present.max_age != wanted.max_age
        or present.max_msgs_per_subject != wanted.max_msgs_per_subject
        or present.duplicate_window != wanted.duplicate_window
    )


def _config(stream: Stream, replicas: int) -> StreamConfig:
    return StreamConfig(
        name=stream.name,
        subjects=list(stream.subjects),
        max_age=stream.max_age.total_seconds() if stream.max_age else 0,
        max_msgs_per_subject=stream.max_per_subject,
        retention=RetentionPolicy.WORK_QUEUE if stream.work_queue else RetentionPolicy.LIMITS,
        discard=DiscardPolicy.OLD,
        storage=StorageType.FILE,
        allow_direct=stream.by_subject,
        duplicate_window=_window(stream),
        num_replicas=replicas,
    )


def _window(stream: Stream) -> float:
    window = stream.duplicate_window.total_seconds()
    return min(window, stream.max_age.total_seconds()) if stream.max_age else window
