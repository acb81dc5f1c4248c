"""One object per request, fact or stream of messages, so that subject, question and answer cannot drift."""

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from contracts.identifiers import MAX_SUBJECT_BYTES, from_token, to_token
from contracts.refusals import Code
from contracts.values import Cursor


class Message(BaseModel):
    """Everything that travels: frozen, and tolerant of fields a newer program adds."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        allow_inf_nan=False,
        serialize_by_alias=True,
        use_attribute_docstrings=True,
        validate_by_alias=True,
        validate_by_name=True,
    )


def says_its_type(schema: dict[str, Any]) -> None:
    """For `json_schema_extra` of frames: their `type`, which has a default here, is always there on the wire."""
    if "type" in schema["properties"]:
        schema["required"] = ["type", *schema.get("required", ())]


class Fact(Message):
    """Something that happened to one thing; delivered at least once, told apart by `event_id`."""

    event_id: str
    """UUIDv7, the `Nats-Msg-Id` of its publish."""
    occurred_at: AwareDatetime
    revision: int = Field(ge=1)
    """Of the thing it happened to; consumers drop what is not newer than what they know."""


Question = TypeVar("Question", bound=Message)
Answer = TypeVar("Answer", bound=BaseModel)
Body = TypeVar("Body", bound=Message)

_PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Rpc(Generic[Question, Answer]):
    """A request over core NATS: where to ask, what to ask, what comes back, how it may be refused."""

    subject: str
    question: type[Question]
    answer: type[Answer]
    refusals: frozenset[Code] = field(default_factory=frozenset)
    asks_all: bool = False
    """Every instance is asked, and one of them answers; else any one is, by the queue group of the service."""


@dataclass(frozen=True)
class Subject(Generic[Body]):
    """A family of subjects with identifiers in it, such as `p2p.heartbeat.{host_id}`, and its message."""

    pattern: str
    body: type[Body]

    def of(self, **identifiers: str) -> str:
        """Fill the identifiers in, encoded; ValueError for an empty one, or when the subject would exceed 512 bytes."""
        if "" in identifiers.values():  # NATS takes no empty token, and says so to nobody
            raise ValueError(f"an identifier of {self.pattern} is empty")
        subject = self.pattern.format_map({name: to_token(value) for name, value in identifiers.items()})
        if len(subject) > MAX_SUBJECT_BYTES:
            raise ValueError(f"identifiers make a subject of {len(subject)} bytes; at most {MAX_SUBJECT_BYTES} fit")
        return subject

    @property
    def wildcard(self) -> str:
        """The subject to subscribe to for all of them."""
        return self.where()

    def where(self, **identifiers: str) -> str:
        """The subject to subscribe to for all that have these identifiers; ValueError for one that none of them has."""
        if unknown := identifiers.keys() - set(_PLACEHOLDER.findall(self.pattern)):
            raise ValueError(f"{self.pattern} has no {', '.join(sorted(unknown))}")
        if "" in identifiers.values():
            raise ValueError(f"an identifier of {self.pattern} is empty")
        tokens = {name: to_token(value) for name, value in identifiers.items()}
        return _PLACEHOLDER.sub(lambda found: tokens.get(found[1], "*"), self.pattern)

    def matches(self, subject: str) -> bool:
        """Whether an actual subject is one of these."""
        return self._expression.fullmatch(subject) is not None

    def parse(self, subject: str) -> dict[str, str]:
        """Read the identifiers back from an actual subject; ValueError when it is not one of these."""
        found = self._expression.fullmatch(subject)
        if found is None:
            raise ValueError(f"{subject!r} is not of the form {self.pattern}")
        return {name: from_token(token) for name, token in found.groupdict().items()}

    @cached_property
    def _expression(self) -> re.Pattern[str]:
        parts = _PLACEHOLDER.split(self.pattern)
        return re.compile(
            "".join(rf"(?P<{part}>[^.]+)" if index % 2 else re.escape(part) for index, part in enumerate(parts))
        )


class Page(Message):
    """How much of a list to give, and from where."""

    limit: int = Field(default=100, ge=1, le=1000)
    cursor: Cursor | None = None
    """Opaque; from the answer before."""


class Nothing(Message):
    """A question or an answer without content."""
