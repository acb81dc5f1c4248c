"""Declaring the JetStream streams: here and nowhere else, so that nobody overwrites their settings."""

import structlog
from contracts.streams import ALL, Stream
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import NotFoundError

from chassis.bus import Bus

log = structlog.stdlib.get_logger()


async def declare_streams(bus: Bus, *, replicas: int = 1) -> None:
    """Create the streams that are missing and bring the others' settings up to date; may be called by all at once."""
    for stream in ALL:
        await _declare(bus, stream.name, _config(stream, replicas))


async def _declare(bus: Bus, name: str, wanted: StreamConfig) -> None:
    streams = bus.client.jsm()
    try:
        present = (await streams.stream_info(name)).config
    except NotFoundError:
        await streams.add_stream(wanted)  # the same settings twice are one stream, whoever comes first
        log.info("stream.created", stream=name)
        return
    if _differs(present, wanted):
        await streams.update_stream(wanted)
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
        duplicate_window=_window(stream),
        num_replicas=replicas,
    )


def _window(stream: Stream) -> float:
    window = stream.duplicate_window.total_seconds()
    return min(window, stream.max_age.total_seconds()) if stream.max_age else window
