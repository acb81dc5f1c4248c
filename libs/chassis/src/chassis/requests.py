"""Asking another service: typed, with a deadline, and refused by an exception."""

import time
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from urllib.parse import quote, unquote

from contracts.refusals import Code, Refusal
from contracts.subjects import Message, Rpc
from pydantic import BaseModel, ValidationError

from chassis import tracing
from chassis.bus import Bus
from chassis.refusals import DeadlineExceededError, InvalidError, RefusedError
from chassis.semantics import of_request
from chassis.tracing import SpanKind

Question = TypeVar("Question", bound=Message)
Answer = TypeVar("Answer", bound=BaseModel)

CLIENT = SpanKind.CLIENT

DEFAULT_DEADLINE = timedelta(seconds=3)
"""Every REST answer comes within 4 s: a refusal for lateness must still reach the client."""

DEADLINE = "p2p-deadline"
"""Milliseconds of Unix time after which nobody waits for the answer any more."""
CALLER = "p2p-caller"
IDEMPOTENCY_KEY = "p2p-idempotency-key"
MOST_DIGITS = 14
"""Of a deadline: the year 5138. What says more, or no number, is no deadline."""

MOST_CHARACTERS = 255
"""Of a key, and of a caller's name: rows are found by them, and an index takes no more than 2,700 bytes."""

ERROR = "Nats-Service-Error"
ERROR_CODE = "Nats-Service-Error-Code"
"""NATS's own headers for refusals: ours hold the code word, and the HTTP status."""

ANSWERED_UNTIL: ContextVar[float | None] = ContextVar("answered_until", default=None)
"""Unix time until which whoever asked us waits: what we ask meanwhile needs no answer after it."""


@dataclass(frozen=True, slots=True)
class Caller:
    """On whose behalf something is asked."""

    role: str
    name: str

    def as_header(self) -> str:
        return f"{self.role} {quote(self.name, safe='')}"

    @classmethod
    def from_header(cls, header: str) -> "Caller":
        role, _, name = header.partition(" ")
        return cls(role, unquote(name))


@dataclass(frozen=True, slots=True)
class Asked:
    """The circumstances of a question: a handler that takes it as a second argument is told."""

    subject: str
    caller: Caller | None = None
    idempotency_key: str | None = None
    deadline: datetime | None = None

    @classmethod
    def from_headers(cls, subject: str, headers: dict[str, str]) -> "Asked":
        caller = headers.get(CALLER)
        key = headers.get(IDEMPOTENCY_KEY)
        until = deadline_in(headers)
        asked = cls(
            subject,
            Caller.from_header(caller) if caller else None,
            unquote(key) if key else None,
            datetime.fromtimestamp(until, UTC) if until is not None else None,
        )
        _check(IDEMPOTENCY_KEY, asked.idempotency_key or "")
        if asked.caller is not None:
            _check(CALLER, asked.caller.as_header())
        return asked


def deadline_in(headers: Mapping[str, str]) -> float | None:
    """Unix time after which nobody waits for the answer, if they say one."""
    said = headers.get(DEADLINE, "")
    return int(said) / 1000 if said.isascii() and said.isdigit() and len(said) <= MOST_DIGITS else None


def _check(header: str, text: str) -> None:
    if len(text) > MOST_CHARACTERS or "\x00" in text:
        raise InvalidError(f"{header} has at most {MOST_CHARACTERS} characters, none of which is U+0000.")


async def call(
    bus: Bus,
    rpc: Rpc[Question, Answer],
    question: Question,
    *,
    deadline: timedelta = DEFAULT_DEADLINE,
    caller: Caller | None = None,
    idempotency_key: str | None = None,
) -> Answer:
    """Ask and return the typed answer; RefusedError, UnavailableError or DeadlineExceededError otherwise."""
    answer = await call_raw(bus, rpc, question, deadline=deadline, caller=caller, idempotency_key=idempotency_key)
    return rpc.answer.model_validate_json(answer)


async def call_raw(
    bus: Bus,
    rpc: Rpc[Question, Answer],
    question: Question | bytes,
    *,
    deadline: timedelta = DEFAULT_DEADLINE,
    caller: Caller | None = None,
    idempotency_key: str | None = None,
) -> bytes:
    """Ask and return the answer's JSON as it came."""
    payload = question if isinstance(question, bytes) else _encoded(question)
    until = time.time() + deadline.total_seconds()
    bound = ANSWERED_UNTIL.get()
    if bound is not None and bound < until:
        until = bound
    timeout_s = until - time.time()
    if timeout_s <= 0:
        raise DeadlineExceededError(f"No time is left to ask {rpc.subject}.")
    headers = {DEADLINE: str(int(until * 1000))}
    if caller is not None:
        headers[CALLER] = caller.as_header()
    if idempotency_key is not None:
        headers[IDEMPOTENCY_KEY] = quote(idempotency_key, safe="")
    with tracing.span(rpc.subject, CLIENT, of_request(rpc.subject, CLIENT)):
        tracing.inject(headers)
        reply = await bus.request(rpc.subject, payload, timeout_s=timeout_s, headers=headers)
        if reply.headers is not None and (word := reply.headers.get(ERROR)) is not None:
            raise RefusedError(_refusal(word, reply.data))
    return reply.data


def _encoded(question: Message) -> bytes:
    # What the asker left unset stays unset on the other side, where a change touches only what was set.
    return question.__pydantic_serializer__.to_json(question, exclude_unset=True)


def _refusal(word: str, body: bytes) -> Refusal:
    """Read a refusal; one that is newer than our list of codes, or not ours at all, is INTERNAL with its word kept."""
    try:
        return Refusal.model_validate_json(body)
    except ValidationError:
        return Refusal(code=Code.INTERNAL, detail="The request was refused.", fields={"word": word})
