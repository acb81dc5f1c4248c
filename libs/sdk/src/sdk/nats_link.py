"""A program's connection to the coordinator's NATS: it comes back by itself for ever."""

import asyncio
import logging
import os
import random
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from contracts.credentials import inbox_prefix, user_of
from contracts.refusals import Code, Refusal
from contracts.subjects import Message, Rpc
from nats.aio.client import DEFAULT_INBOX_PREFIX, Client, Server
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js.api import Header
from opentelemetry.context import get_current
from pydantic import BaseModel, ValidationError

from sdk.backoff import Backoff
from sdk.errors import CredentialsError, RefusedError, UnreachableError
from sdk.tracing import traceparent_of

Question = TypeVar("Question", bound=Message)
Answer = TypeVar("Answer", bound=BaseModel)

log = logging.getLogger(__name__)

DEFAULT_URL: Final = "nats://127.0.0.1:4222"

RECONNECT = Backoff(first=timedelta(milliseconds=50), longest=timedelta(seconds=2))
"""nats-server opens its port 10 ms after its start; a restart should be noticed by nobody."""

REPUBLISH = Backoff(first=timedelta(milliseconds=100), longest=timedelta(seconds=2))
"""While a cluster elects a leader (4 to 9 s) publishes fail at once: ask again, less and less often."""

KEEP_TRYING = timedelta(seconds=30)
"""Past any election or restart, and well inside the two minutes for which a message id is remembered."""

ANSWER_WITHIN = timedelta(seconds=3)

DEADLINE: Final = "p2p-deadline"
"""Milliseconds of Unix time after which nobody waits: a question held up by an outage is dropped, not done late."""
ERROR: Final = "Nats-Service-Error"


_SHUT_OUT: Final = "authorization violation"


class _ReturningClient(Client):
    """nats-py gives up for good on most errors a server sends (slow consumer, too many connections); we come back."""

    async def request(self, *question: Any, **about: Any) -> Msg:
        """Ask as nats-py does, and be cancelled all the same if an answer comes just then.

        Before Python 3.12 `asyncio.wait_for`, by which it waits, gives its result and forgets the cancellation.
        """
        task = asyncio.current_task()
        cancelled = task.cancelling() if task else 0
        reply = await super().request(*question, **about)
        if task and task.cancelling() > cancelled:
            raise asyncio.CancelledError
        return reply

    async def _process_err(self, err_msg: str) -> None:
        if "permissions violation" in err_msg.lower():
            await super()._process_err(err_msg)
        else:
            await self._process_op_err(NatsError(f"nats: {err_msg}"))


class NatsLink:
    """What game servers and AI servers do over NATS; made by `nats_link`."""

    def __init__(self, client: Client, user: str | None = None) -> None:
        self.client = client
        self.user = user
        """Who we are there; None where nobody is asked."""
        # Kept: making one costs as much as a third of a publish.
        self._jetstream = client.jetstream()

    async def publish(self, subject: str, body: Message) -> None:
        """Publish at most once: during an outage it waits in a buffer, past that it is lost."""
        with unreachable("NATS"):
            await self.client.publish(subject, as_json(body), headers=tracing_headers() or None)

    async def publish_stored(self, subject: str, body: Message) -> None:
        """Publish to a stream exactly once; returns when it is stored, UnreachableError after 30 s of trying."""
        payload = as_json(body)

        async def publish(headers: dict[str, str]) -> None:
            await self._jetstream.publish(subject, payload, headers=headers)

        await until_stored(subject, publish)

    async def ask(self, rpc: Rpc[Question, Answer], question: Question, within: timedelta) -> Answer:
        """Ask the service that owns the subject; RefusedError when it says no, UnreachableError when nobody answers."""

        async def send(payload: bytes, headers: dict[str, str], seconds: float) -> Reply:
            reply = await self.client.request(rpc.subject, payload, timeout=seconds, headers=headers)
            return Reply(reply.data, reply.headers or {})

        return await asked(rpc, question, within, send)

    @asynccontextmanager
    async def hearing(self, subject: str) -> AsyncIterator[AsyncIterator[Msg]]:
        """Hear what is published on the subject while connected."""
        subscription = await self.client.subscribe(subject)
        # What the caller causes from now on is heard: the server knows of the subscription.
        await self.client.flush()
        try:
            yield subscription.messages
        finally:
            # Closing the connection has ended it already.
            if not self.client.is_closed:
                await subscription.unsubscribe()


class Reply(NamedTuple):
    """What came back for a question."""

    data: bytes
    headers: Mapping[str, str]


async def asked(
    rpc: Rpc[Question, Answer],
    question: Question,
    within: timedelta,
    send: Callable[[bytes, dict[str, str], float], Awaitable[Reply]],
) -> Answer:
    """Ask by `send`, which takes payload, headers and seconds; raises as `NatsLink.ask` says."""
    seconds = within.total_seconds()
    headers = tracing_headers() | {DEADLINE: str(int((time.time() + seconds) * 1000))}
    payload = question.model_dump_json(exclude_unset=True).encode()
    try:
        reply = await send(payload, headers, seconds)
    except NoRespondersError as error:
        raise UnreachableError(rpc.subject, "nobody answers there at the moment") from error
    except NatsTimeoutError as error:
        raise UnreachableError(rpc.subject, f"no answer within {seconds:g} s") from error
    except NatsError as error:
        raise UnreachableError(rpc.subject, str(error)) from error
    if ERROR in reply.headers:
        raise RefusedError(_refusal(reply))
    return rpc.answer.model_validate_json(reply.data)


async def until_stored(subject: str, publish: Callable[[dict[str, str]], Awaitable[None]]) -> None:
    """Publish by `publish`, which takes headers, until a stream has it, once; UnreachableError after 30 s of trying."""
    headers = tracing_headers() | {Header.MSG_ID.value: str(uuid.uuid4())}
    failure = "no answer"
    try:
        async with asyncio.timeout(KEEP_TRYING.total_seconds()):
            attempt = 0
            while (failed := await _failure_to_store(publish, headers)) is not None:
                failure = failed
                wait = REPUBLISH.delay(attempt, random.random())  # noqa: S311 -- spreads load, guards nothing
                await asyncio.sleep(wait.total_seconds())
                attempt += 1
    except TimeoutError:
        raise UnreachableError("NATS", f"{subject} was not stored: {failure}") from None


async def _failure_to_store(
    publish: Callable[[dict[str, str]], Awaitable[None]], headers: dict[str, str]
) -> str | None:
    """Try once; the same headers each time, for an attempt that timed out may be stored all the same."""
    try:
        await publish(dict(headers))
    except NatsError as error:
        return str(error) or type(error).__name__
    return None


@contextmanager
def unreachable(whom: str) -> Iterator[None]:
    """Say an error of nats-py as ours."""
    try:
        yield
    except NatsError as error:
        raise UnreachableError(whom, str(error)) from error


@asynccontextmanager
async def nats_link(url: str, name: str, credentials: Path | None = None) -> AsyncIterator[NatsLink]:
    """Connect to the servers in `url` (comma-separated), waiting for as long as none is there.

    `credentials`: a file, by default what NATS_CREDS names, for a NATS that lets in only its users. CredentialsError
    when it can't be used, or when the server does not take it.
    """
    credentials = credentials or _from_environment()
    user = _user(credentials) if credentials else None
    client = _ReturningClient()
    entered = False
    waiting = False

    async def disconnected() -> None:
        if not client.is_closed:
            log.warning("NATS is away: %s", client.last_error or "no reason given")

    async def reconnected() -> None:
        log.info("NATS is back")

    async def failed(error: Exception) -> None:
        nonlocal waiting
        if _SHUT_OUT in str(error).lower():
            if not entered:  # whoever waits for the first connection is told; nats-py alone would try for ever
                raise CredentialsError(credentials, str(error))
            log.error("NATS lets us in no more; credentials that are put in %s are read at the next try", credentials)
        elif client.is_connected:
            log.warning("NATS: %s", error)
        elif not entered and not waiting:
            log.warning("waiting for NATS at %s: %s", url, error)
            waiting = True

    try:
        await client.connect(
            url.split(","),
            name=name,
            user_credentials=credentials,
            inbox_prefix=inbox_prefix(user) if user else DEFAULT_INBOX_PREFIX,
            error_cb=failed,
            disconnected_cb=disconnected,
            reconnected_cb=reconnected,
            max_reconnect_attempts=-1,
            reconnect_to_server_handler=_soon,
            connect_timeout=2,
        )
        entered = True
        yield NatsLink(client, user)
    finally:
        await _take_leave(client)


async def _take_leave(client: Client) -> None:
    if client.is_connected:
        with suppress(NatsError):
            # NATS went away this very moment: what was published at most once is lost, as it may be.
            await client.flush()
    try:
        await client.close()
    except OSError as error:
        log.warning("NATS is away, and what waited for it is lost: %s", error)


def _from_environment() -> Path | None:
    named = os.environ.get("NATS_CREDS")
    return Path(named) if named else None


def _user(credentials: Path) -> str:
    try:
        return user_of(credentials.read_text())
    except OSError as error:
        raise CredentialsError(credentials, error.strerror or "it cannot be read") from error
    except ValueError as error:
        raise CredentialsError(credentials, str(error)) from error


def _soon(servers: list[Server], _info: dict[str, Any]) -> tuple[Server, float]:
    server = min(servers, key=lambda known: known.reconnects)
    wait = RECONNECT.delay(server.reconnects, random.random())  # noqa: S311 -- spreads load, guards nothing
    return server, wait.total_seconds()


def as_json(body: Message) -> bytes:
    """What travels of a message: what it leaves open is left out."""
    return body.model_dump_json(exclude_none=True).encode()


def tracing_headers() -> dict[str, str]:
    """The trace that the caller is in, if it is in one."""
    traceparent = traceparent_of(get_current(), None)
    return {"traceparent": traceparent} if traceparent else {}


def _refusal(reply: Reply) -> Refusal:
    try:
        return Refusal.model_validate_json(reply.data)
    except ValidationError:
        # One of a newer suite, or of another program on the subject.
        return Refusal(code=Code.INTERNAL, detail=f"refused with {reply.headers.get(ERROR)}")
