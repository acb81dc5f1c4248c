"""Owners that say what the test wants and remember what they were asked; by default contracts' own examples."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import contracts.hosts
import contracts.sessions
import contracts.zones
from chassis.bus import Bus
from chassis.refusals import RefusedError
from chassis.requests import Asked
from chassis.responder import Responder
from contracts.catalogue import golden, messages
from contracts.refusals import Code, Refusal
from contracts.subjects import Message, Rpc

OWNERS = {"host_registry": contracts.hosts, "zone_manager": contracts.zones, "session_manager": contracts.sessions}


def _published(module: ModuleType) -> list[Rpc[Any, Any]]:
    found = [value for value in vars(module).values() if isinstance(value, Rpc)]
    return [rpc for rpc in found if rpc.subject.split(".")[1] in module.__name__]


RPCS = {service: _published(module) for service, module in OWNERS.items()}

Reply = bytes | Code | Callable[[Message], Awaitable[bytes]]


def example(answer: type[Any]) -> bytes:
    """What an owner usually answers, as it does: on one line, every field there, a list's last page."""
    known = answer.__name__ in messages()
    message = answer.model_validate_json(golden(answer)) if known else answer()
    if "next_cursor" in answer.model_fields:
        message = message.model_copy(update={"next_cursor": None})
    encoded: str = message.model_dump_json()
    return encoded.encode()


@dataclass
class Question:
    subject: str
    fields: Mapping[str, Any]
    key: str | None
    caller: str | None = None
    """On whose behalf, as the header has it."""


@dataclass
class Owners:
    """All three, each with a responder of its own."""

    bus: Bus
    replies: dict[str, Reply] = field(default_factory=dict)
    questions: list[Question] = field(default_factory=list)

    def forget(self) -> None:
        self.replies.clear()
        self.questions.clear()

    def asked_on(self, subject: str) -> list[Mapping[str, Any]]:
        """What was asked on one subject, in order."""
        return [question.fields for question in self.questions if question.subject == subject]

    @asynccontextmanager
    async def answering(self, *services: str) -> AsyncIterator[None]:
        """Let these be there."""
        async with AsyncExitStack() as stack:
            for service in services:
                responder = Responder(self.bus, service, "1", instance=f"{service}-1")
                for rpc in RPCS[service]:
                    responder.answer(rpc, self._answerer(rpc))
                await stack.enter_async_context(responder)
            await self.bus.client.flush()
            yield

    def _answerer(self, rpc: Rpc[Any, Any]) -> Callable[[Message, Asked], Awaitable[bytes]]:
        async def answer(question: Message, asked: Asked) -> bytes:
            fields = question.model_dump(mode="json", exclude_unset=True)
            self.questions.append(Question(rpc.subject, fields, asked.idempotency_key, _caller(asked)))
            match self.replies.get(rpc.subject, example(rpc.answer)):
                case bytes() as reply:
                    return reply
                case Code() as code:
                    raise RefusedError(Refusal(code=code, detail=f"No: {code}."))
                case reply:
                    return await reply(question)

        return answer


def _caller(asked: Asked) -> str | None:
    return asked.caller.as_header() if asked.caller is not None else None
