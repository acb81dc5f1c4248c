"""Facts out of the coordinator's event stream: in order, none missing, across every loss of the connection.

An ephemeral JetStream consumer delivers them. It is made anew, from the fact after the last one seen, whenever it
falls silent or a number is missing.
"""

import asyncio
import json
import logging
import random
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Generic, TypeVar

from contracts.credentials import reader_names
from contracts.streams import EVENTS
from contracts.subjects import Fact, Subject
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, Header, ReplayPolicy
from nats.js.errors import APIError
from pydantic import ValidationError

from sdk.backoff import Backoff
from sdk.nats_link import NatsLink

Body = TypeVar("Body", bound=Fact)

log = logging.getLogger(__name__)

HEARTBEAT_S: Final = 1.0
SILENCE_S: Final = 3.0
"""The server says each second that it lives; after three missed ones the consumer is taken for gone."""

FORGOTTEN_AFTER_S: Final = 30.0
"""How long the server keeps a consumer nobody listens to; ours may have died without a word."""

ANSWER_S: Final = 5.0
CONSUMER_EXISTS: Final = 10148

AGAIN = Backoff(first=timedelta(milliseconds=100), longest=timedelta(seconds=2))


@dataclass(frozen=True)
class Event(Generic[Body]):
    """A fact, and what of all that can happen to such a thing it was."""

    what: str
    """The last word of its subject: registered, online, created, joined, ended, …"""
    fact: Body
    traceparent: str | None
    """Of the trace it is a consequence of."""


@asynccontextmanager
async def facts(
    link: NatsLink, kinds: tuple[Subject[Body], ...], since: datetime | None
) -> AsyncIterator[AsyncIterator[Event[Body]]]:
    """Hear facts of these kinds from now on, or from `since` on as far as the stream reaches back (7 days)."""
    bodies = {kind.pattern.rpartition(".")[2]: kind.body for kind in kinds}
    async with (
        fact_messages(link, [kind.wildcard for kind in kinds], since) as messages,
        aclosing(_events(messages, bodies)) as events,
    ):
        yield events


async def _events(messages: AsyncIterator[Msg], bodies: Mapping[str, type[Body]]) -> AsyncGenerator[Event[Body], None]:
    async for message in messages:
        what = message.subject.rpartition(".")[2]
        try:
            fact = bodies[what].model_validate_json(message.data)
        except ValidationError as error:
            log.warning("a fact on %s cannot be read: %s", message.subject, error)
        else:
            yield Event(what, fact, (message.headers or {}).get("traceparent"))


@asynccontextmanager
async def fact_messages(
    link: NatsLink, subjects: Sequence[str], since: datetime | None
) -> AsyncIterator[AsyncIterator[Msg]]:
    """The same as they came, of these subjects (wildcards allowed)."""
    reading = _Reader(link, subjects, await _start(link.client, since)).read()
    try:
        yield reading
    finally:
        await reading.aclose()


async def _start(client: Client, since: datetime | None) -> ConsumerConfig:
    """Find where to begin, before the caller does what it wants to hear the consequences of."""
    if since is not None:
        return ConsumerConfig(deliver_policy=DeliverPolicy.BY_START_TIME, opt_start_time=since.astimezone(UTC))
    attempt = 0
    while True:
        try:
            stream = await client.jetstream().stream_info(EVENTS.name)
        except NatsError as error:
            log.info("the event stream is not there yet: %s", error)
            await asyncio.sleep(AGAIN.delay(attempt, random.random()).total_seconds())  # noqa: S311 -- spreads load
            attempt += 1
        else:
            return _after(stream.state.last_seq)


def _after(sequence: int) -> ConsumerConfig:
    return ConsumerConfig(deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=sequence + 1)


class _Reader:
    def __init__(self, link: NatsLink, subjects: Sequence[str], position: ConsumerConfig) -> None:
        self._client = link.client
        self._user = link.user
        self._subjects = [*subjects]
        self._position = position

    async def read(self) -> AsyncGenerator[Msg, None]:
        attempt = 0
        while True:
            try:
                async with self._consumer() as messages:
                    async for message in self._uninterrupted(messages):
                        attempt = 0
                        self._position = _after(message.metadata.sequence.stream)
                        yield message
            except NatsError as error:
                log.info("facts pause: %s", error)
            await asyncio.sleep(AGAIN.delay(attempt, random.random()).total_seconds())  # noqa: S311 -- spreads load
            attempt += 1

    @asynccontextmanager
    async def _consumer(self) -> AsyncIterator[Subscription]:
        subscription = await self._client.subscribe(inbox := self._client.new_inbox())
        try:
            config = self._position.evolve(
                deliver_subject=inbox,
                filter_subjects=self._subjects,
                ack_policy=AckPolicy.NONE,
                replay_policy=ReplayPolicy.INSTANT,
                idle_heartbeat=HEARTBEAT_S,
                inactive_threshold=FORGOTTEN_AFTER_S,
                num_replicas=1,
                mem_storage=True,
            )
            await self._make(config)
            yield subscription
        finally:
            if not self._client.is_closed:
                await subscription.unsubscribe()

    async def _make(self, config: ConsumerConfig) -> None:
        """Make the consumer under the first of our names that is free."""
        names = reader_names(self._user) if self._user else [self._client.new_inbox().rpartition(".")[2]]
        for name in random.sample(names, len(names)):
            # nats-py would change a consumer that is there; this one may be another reader's.
            wish = {"stream_name": EVENTS.name, "config": config.evolve(name=name).as_dict(), "action": "create"}
            subject = f"$JS.API.CONSUMER.CREATE.{EVENTS.name}.{name}"
            answer = json.loads((await self._client.request(subject, json.dumps(wish).encode(), timeout=ANSWER_S)).data)
            if "error" not in answer:
                return
            if answer["error"].get("err_code") != CONSUMER_EXISTS:
                APIError.from_error(answer["error"])
        raise NatsError(f"all {len(names)} consumers of {self._user} are in use")

    async def _uninterrupted(self, subscription: Subscription) -> AsyncIterator[Msg]:
        """Give messages until one is missing or the consumer is silent."""
        expected = 1
        while True:
            try:
                # Not by nats-py's own timeout: before Python 3.12 that may forget a cancellation if a message comes.
                async with asyncio.timeout(SILENCE_S):
                    message = await subscription.next_msg(timeout=None)
            except TimeoutError:
                return
            if message.headers and Header.STATUS in message.headers:
                continue
            if message.metadata.sequence.consumer != expected:
                return
            expected += 1
            yield message
