"""FastStream on the coordinator's messages: each public subject typed by its contract, for game and AI servers.

    broker = P2pBroker("nats://127.0.0.1:4222")
    app = FastStream(broker)
    beat = broker.tells(HEARTBEAT)

    @broker.hears(SESSION_JOINED)
    async def joined(fact: SessionFact, session_id: Annotated[str, Path()]) -> None:
        await beat(Heartbeat(latency_ms=2), host_id="central-1")

Facts come as `GameServer` gives them: in order, each once, none missing over outages. Whatever else is heard, is heard
while connected. The subjects are those of `contracts`, and FastStream's test broker works with all of it.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from contracts.catalogue import stream_of
from contracts.streams import EVENTS
from contracts.subjects import Body, Rpc, Subject
from faststream import AckPolicy, BaseMiddleware
from faststream.nats import JStream, NatsBroker, NatsMessage
from faststream.nats.publisher.usecase import LogicPublisher
from faststream.nats.subscriber.usecases import LogicSubscriber
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, DeliverPolicy

from sdk.facts import fact_messages
from sdk.nats_link import (
    ANSWER_WITHIN,
    DEFAULT_URL,
    Answer,
    NatsLink,
    Question,
    Reply,
    as_json,
    asked,
    nats_link,
    tracing_headers,
    unreachable,
    until_stored,
)

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger(__name__)

STORED_WITHIN_S = 5.0
"""For each of several tries, as nats-py has it; FastStream's own half a second is less than an election takes."""


class Teller(Generic[Body]):
    """Says one kind of thing: `await beat(Heartbeat(), host_id="central-1")`.

    What a stream keeps is stored once when this returns, over outages of up to 30 s; other things go at most once.
    UnreachableError when it was in vain.
    """

    def __init__(self, subject: Subject[Body], publisher: LogicPublisher) -> None:
        self.publisher = publisher
        """FastStream's own, which has the `mock` of its test broker."""
        self._subject = subject
        self._stored = publisher.stream is not None

    async def __call__(self, body: Body, **identifiers: str) -> None:
        subject, payload = self._subject.of(**identifiers), as_json(body)

        async def publish(headers: dict[str, str]) -> None:
            await self.publisher.publish(payload, subject, headers, timeout=STORED_WITHIN_S)

        if self._stored:
            await until_stored(subject, publish)
        else:
            with unreachable("NATS"):
                await publish(tracing_headers())


class P2pBroker(NatsBroker):
    """FastStream's broker, connected as `GameServer` is: it waits for NATS, and comes back by itself for ever.

    `credentials`: a file, by default what NATS_CREDS names. With one, at most 16 handlers of facts run at once.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        name: str = "game server",
        credentials: Path | None = None,
        *,
        middlewares: Sequence[type[BaseMiddleware]] = (),
    ) -> None:
        super().__init__(url.split(","), name=name, middlewares=middlewares)
        self._reached_by = (url, name, credentials)
        self._line = AsyncExitStack()

    def hears(
        self, *kinds: Subject[Body], since: datetime | None = None, **identifiers: str
    ) -> Callable[[Callable[Concatenate[Body, P], Awaitable[R]]], Callable[Concatenate[Body, P], Awaitable[R]]]:
        """Have the function hear all of these kinds, one at a time: of all things, or only of those with `identifiers`.

        Facts from now on, or from `since` on as far as the stream reaches back (7 days). Whatever else the function
        takes FastStream brings; an identifier out of the subject by `Annotated[str, Path()]`. A message that can't be
        read, or that the function fails at, is logged, and the next one comes.
        """
        subjects = [kind.where(**identifiers) for kind in kinds]
        subscriber = self._of_facts(kinds, subjects, since) if all(map(_kept, kinds)) else self._of(kinds, subjects)

        def heard(
            handler: Callable[Concatenate[Body, P], Awaitable[R]],
        ) -> Callable[Concatenate[Body, P], Awaitable[R]]:
            return subscriber(handler)

        return heard

    def _of_facts(
        self, kinds: Sequence[Subject[Body]], subjects: list[str], since: datetime | None
    ) -> LogicSubscriber[Any]:
        return self.subscriber(
            stream=JStream(EVENTS.name, declare=False),
            config=_from(since, subjects),
            decoder=_Reading(kinds),
            ack_policy=AckPolicy.MANUAL,
            no_reply=True,
            title=", ".join(kind.pattern for kind in kinds),
        )

    def _of(self, kinds: Sequence[Subject[Body]], subjects: list[str]) -> LogicSubscriber[Any]:
        if len(subjects) != 1:
            raise ValueError("only facts can be heard several kinds at a time")
        return self.subscriber(subjects[0], decoder=_Reading(kinds), no_reply=True)

    def tells(self, kind: Subject[Body]) -> Teller[Body]:
        """Make what says things of this kind."""
        stream = stream_of(kind)
        kept = JStream(stream.name, declare=False) if stream else None
        return Teller(kind, self.publisher(kind.pattern, stream=kept, schema=kind.body))

    async def ask(self, rpc: Rpc[Question, Answer], question: Question, *, within: timedelta = ANSWER_WITHIN) -> Answer:
        """Ask any request of `contracts`, as `GameServer.ask` does."""

        async def send(payload: bytes, headers: dict[str, str], seconds: float) -> Reply:
            reply = await self.request(payload, rpc.subject, headers, timeout=seconds)
            return Reply(reply.body, reply.headers)

        return await asked(rpc, question, within, send)

    async def _connect(self) -> Client:
        link = await self._line.enter_async_context(nats_link(*self._reached_by))
        self.config.connect(link.client)
        self.config.connection_state.connect(link.client, _Facts(link))
        return link.client

    async def stop(
        self,
        exc_type: type[BaseException] | None = None,
        exc_val: BaseException | None = None,
        exc_tb: TracebackType | None = None,
    ) -> None:
        self._connection = None  # FastStream would drain it, which fails while NATS is away
        await super().stop(exc_type, exc_val, exc_tb)
        await self._line.aclose()


def _kept(kind: Subject[Any]) -> bool:
    return stream_of(kind) is EVENTS


def _from(since: datetime | None, subjects: list[str]) -> ConsumerConfig:
    if since is None:
        return ConsumerConfig(filter_subjects=subjects)
    return ConsumerConfig(
        filter_subjects=subjects,
        deliver_policy=DeliverPolicy.BY_START_TIME,
        opt_start_time=since.astimezone(UTC),
    )


class _Reading(Generic[Body]):
    """Reads a message by the contract of its subject, and the identifiers out of that."""

    def __init__(self, kinds: Sequence[Subject[Body]]) -> None:
        self._kinds = kinds

    async def __call__(self, message: NatsMessage) -> Body:
        subject = message.raw_message.subject
        kind = next(kind for kind in self._kinds if kind.matches(subject))
        message.path = kind.parse(subject)
        return kind.body.model_validate_json(message.body)


class _Facts(JetStreamContext):
    """Gives FastStream our reading of facts: nats-py's consumers stay silent, or begin anew, after an outage."""

    def __init__(self, link: NatsLink) -> None:
        super().__init__(link.client)
        self._link = link

    async def subscribe(  # type: ignore[override]
        self, *_: object, cb: Callable[[Msg], Awaitable[None]], config: ConsumerConfig, **_options: object
    ) -> "_Subscription":
        subscription = _Subscription(self._link, cb)
        await subscription.start(config.filter_subjects or [], config.opt_start_time)
        return subscription


class _Subscription:
    """Facts on their way to one handler."""

    def __init__(self, link: NatsLink, handle: Callable[[Msg], Awaitable[None]]) -> None:
        self._link = link
        self._handle = handle
        self._reading = AsyncExitStack()

    async def start(self, subjects: Sequence[str], since: datetime | None) -> None:
        """Return when it is settled from where on: what is caused from now on is heard."""
        messages = await self._reading.enter_async_context(fact_messages(self._link, subjects, since))
        self._task = asyncio.create_task(self._pass_on(messages))

    async def _pass_on(self, messages: AsyncIterator[Msg]) -> None:
        try:
            async for message in messages:
                await self._handle(message)
        except Exception:
            log.exception("a handler of facts hears no more")

    async def unsubscribe(self) -> None:
        if self._task is not asyncio.current_task():  # else a handler has raised StopConsume
            self._task.cancel()
            await asyncio.wait({self._task})
        await self._reading.aclose()
