"""Facts and records out of their streams: what was since some time, and what comes."""

import json
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

from contracts.streams import AUDIT, Stream
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import ConsumerConfig, DeliverPolicy
from nats.js.client import JetStreamContext
from sdk import UnreachableError

from cli.asking import answered, linked
from cli.entrance import Entrance
from cli.event_lines import EVERY_FACT, fact_line, is_routine, record_line
from cli.tables import show

Say = Callable[[Msg], None]
Wanted = Callable[[Msg], bool]


def tell(
    entrance: Entrance, stream: Stream, subject: str, since: datetime, *, follow: bool, limit: int | None, as_json: bool
) -> None:
    """Print the latest `limit` of what there is since then, and with `follow` all that comes.

    People who did not ask for something are spared what happens all the time.
    """
    say = _in_json if as_json else _as_record if stream == AUDIT else _as_fact
    everything = as_json or stream == AUDIT or subject != EVERY_FACT
    wanted = (lambda _: True) if everything else (lambda message: not is_routine(message.subject))
    answered(_tell(entrance, stream, subject, since, say, wanted, follow=follow, limit=limit))


async def _tell(
    entrance: Entrance,
    stream: Stream,
    subject: str,
    since: datetime,
    say: Say,
    wanted: Wanted,
    *,
    follow: bool,
    limit: int | None,
) -> None:
    async with linked(entrance) as link, _reading(link.client.jetstream(), stream, subject, since) as reading:
        kept = deque[Msg](maxlen=limit)
        there = 0
        if await _has_some(reading):
            async for message in reading.messages:
                if wanted(message):
                    kept.append(message)
                    there += 1
                if message.metadata.num_pending == 0:
                    break
        if there > len(kept):
            print(f"{there - len(kept)} earlier ones are not shown: a higher --limit shows them", file=sys.stderr)
        for message in kept:
            say(message)
        if follow:
            sys.stdout.flush()
            async for message in reading.messages:
                if wanted(message):
                    say(message)
                    sys.stdout.flush()


Reading = JetStreamContext.PushSubscription


@asynccontextmanager
async def _reading(
    jetstream: JetStreamContext, stream: Stream, subject: str, since: datetime
) -> AsyncIterator[Reading]:
    begin = ConsumerConfig(deliver_policy=DeliverPolicy.BY_START_TIME, opt_start_time=since)
    try:
        reading = await jetstream.subscribe(subject, stream=stream.name, ordered_consumer=True, config=begin)
    except NatsError as error:
        raise UnreachableError(f"the stream {stream.name}", str(error)) from error
    try:
        yield reading
    finally:
        await reading.unsubscribe()


async def _has_some(reading: Reading) -> bool:
    known = await reading.consumer_info()
    return bool(known.num_pending or (known.delivered and known.delivered.consumer_seq))


def _in_json(message: Msg) -> None:
    """The fact as it was published, behind its subject."""
    print(json.dumps({"subject": message.subject, **json.loads(message.data)}, ensure_ascii=False))


def _as_fact(message: Msg) -> None:
    show([fact_line(message.subject, message.data)])


def _as_record(message: Msg) -> None:
    show([record_line(message.data)])
