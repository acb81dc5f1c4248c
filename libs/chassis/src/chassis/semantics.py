"""What spans say, by OpenTelemetry's semantic conventions for messages, requests and statements.

Names and values are few: identifiers are attributes of their own (`p2p.session_id`), never parts of a name.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import unquote

from opentelemetry.trace import SpanKind
from opentelemetry.util.types import AttributeValue

About = Mapping[str, AttributeValue]

NATS = "nats"

MESSAGE_ID = "messaging.message.id"
CONSUMER_GROUP = "messaging.consumer.group.name"

_TYPES = {SpanKind.PRODUCER: "send", SpanKind.CONSUMER: "process"}

_WORDS = re.compile(r"[()]|\b(?:SELECT|INSERT|UPDATE|DELETE|MERGE)\b", re.IGNORECASE)


@lru_cache(maxsize=1024)
def of_message(name: str, kind: SpanKind) -> About | None:
    """What the span of a message says beside its name, which is "publish p2p.events.hosts.moved"; None for others."""
    if kind not in _TYPES:
        return None
    operation, _, destination = name.partition(" ")
    return {
        "messaging.system": NATS,
        "messaging.operation.name": operation,
        "messaging.operation.type": _TYPES[kind],
        "messaging.destination.name": destination,
    }


@lru_cache(maxsize=1024)
def of_request(subject: str, kind: SpanKind) -> About:
    """What the span of a request says: it is a procedure called by its subject, and travels as a message."""
    asks = kind is SpanKind.CLIENT
    return {
        "rpc.system.name": NATS,
        "rpc.method": subject,
        "messaging.system": NATS,
        "messaging.operation.name": "request" if asks else "answer",
        "messaging.operation.type": "send" if asks else "process",
        "messaging.destination.name": subject,
    }


def kind_of(subject: str) -> str:
    """The subject without what may be an identifier, so that the names of spans stay few."""
    tokens = subject.split(".")
    if tokens[1:2] == ["events"]:  # p2p.events.<owner>.<id>.<what>
        return ".".join([*tokens[:3], *tokens[4:]])
    return ".".join(tokens[:2])


def spoken_of(subject: str) -> dict[str, AttributeValue]:
    """Name the thing that a fact's subject names, as `p2p.host_id`: traces are looked up by it."""
    tokens = subject.split(".")
    if tokens[1:2] != ["events"] or len(tokens) < 5:  # noqa: PLR2004 -- p2p.events.<owner>.<id>.<what>
        return {}
    return {f"p2p.{tokens[2].removesuffix('s')}_id": unquote(tokens[3])}


@lru_cache(maxsize=1024)
def operation_of(sql: str) -> str:
    """The statement's command; of WITH the one at its end, as PostgreSQL names it."""
    depth = 0
    for word in _WORDS.findall(sql):
        if word in "()":
            depth += 1 if word == "(" else -1
        elif depth == 0:
            return str(word.upper())
    return sql.split(None, 1)[0].upper()
