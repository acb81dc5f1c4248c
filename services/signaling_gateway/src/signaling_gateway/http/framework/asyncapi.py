"""The AsyncAPI document: what programs may say and hear on NATS and on the signaling WebSocket, by the contracts."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from chassis.requests import DEADLINE, ERROR, ERROR_CODE, IDEMPOTENCY_KEY
from contracts import catalogue, frames, warp
from contracts.closing import CLOSINGS
from contracts.grants import OUTSIDE, PROCESSES
from contracts.refusals import MEANINGS, TRY_AGAIN, Code, Refusal
from contracts.streams import ALL, Stream
from contracts.subjects import Fact, Rpc, Subject
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

Json = dict[str, Any]

SOCKET = "/api/v1/signaling/ws"

BY_EVERY_REQUEST = frozenset({Code.INVALID, Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.INTERNAL})
"""May refuse whatever is asked."""

REPLIES = "replies"
"""The channel of all replies: NATS makes an address of its own for each, and names it in the request."""

ABOUT = """
What goes over the signaling WebSocket, for players, pages and hosts, and over NATS, for machines of the operator.

* A body is one JSON object. Unknown fields are to be ignored; in time there will be more of them.
* An identifier in a subject is its UTF-8 with every byte outside `A-Za-z0-9_-` written `%XX`: `1@tower` is `1%40tower`.
* A request is refused by a reply with the header `Nats-Service-Error`; its body is a `Refusal`: match on `code`.
* Facts come at least once, told apart by `event_id`; `x-streams` says how long they are kept.
* No header is required. `traceparent` joins a trace, on a WebSocket as a field of the frame.
* Each message by itself, as JSON Schema: `/schemas/{message}.json`.
"""

ABOUT_SIGNALING = """
Text frames of one JSON object each, told apart by `type`.

* A player enters a session by `join` or `enter`, and is in when it hears `session-joined`. Then it sends `offer` to the
  session's `host_peer_id`, and to such of its `peers` as it likes, and `ice-result` when it knows how that came out.
* A host hears `session-assigned` for each of its sessions, and answers an `offer` by `answer` with its `session_id`.
* A connection whose first frame is `create_session` is the shipped game client's, whose frames are `signaling.warp`.
* What it is closed with, and whether to come back then, `x-close-codes` says.
"""

SERVERS: Json = {
    "gateway": {
        "host": "{gateway}",
        "protocol": "ws",
        "description": "Any gateway, at the address that this document came from; `wss` on the same port with TLS.",
        "variables": {"gateway": {"default": "127.0.0.1:8001"}},
    },
    "nats": {
        "host": "{nats}",
        "protocol": "nats",
        "description": "Any server of the cluster. In enforced mode with credentials, which `p2p keys` makes.",
        "variables": {"nats": {"default": "127.0.0.1:4222"}},
    },
}

_ASKED: Json = {
    "type": "object",
    "properties": {
        "peer_id": {
            "type": "string",
            "description": "Names the peer, a host by its `peer_id`; else its first frame or its token does.",
        },
        "session_id": {"type": "string", "description": "Enters this session, as `join` does."},
        "token": {"type": "string", "description": "An access token or a ticket; needed in enforced mode."},
    },
}
_TRACEPARENT: Json = {"traceparent": {"type": "string", "description": "W3C trace context."}}
_REQUEST_HEADERS: Json = {
    **_TRACEPARENT,
    DEADLINE: {"type": "string", "description": "Milliseconds of Unix time after which nobody waits any more."},
    IDEMPOTENCY_KEY: {"type": "string", "description": "Of what creates: the same key takes effect once."},
}
_REFUSAL_HEADERS: Json = {
    ERROR: {"type": "string", "description": "The `code`."},
    ERROR_CODE: {"type": "string", "description": "The HTTP status that goes with it."},
}
_FACT_HEADERS: Json = {**_TRACEPARENT, "Nats-Msg-Id": {"type": "string", "description": "The `event_id`."}}

_ANSWERED_BY = {rpc.subject: process.name for process in PROCESSES for rpc in process.answers}


@dataclass(frozen=True)
class Channel:
    """One address, and what passes there, seen from the suite."""

    name: str
    address: str
    about: Json
    received: tuple[type[BaseModel], ...] = ()
    sent: tuple[type[BaseModel], ...] = ()
    details: Json = field(default_factory=dict)
    """Of its one operation, for a request."""


def asyncapi(title: str, version: str) -> Json:
    """Write the document."""
    requests = catalogue.requests()
    channels = [*_sockets(), *map(_asking, requests.values()), *map(_telling, catalogue.subjects().values())]
    passing = {model for channel in channels for model in (*channel.received, *channel.sent)}
    answers = {rpc.answer for rpc in requests.values()} | {Refusal}
    models = sorted(passing | answers, key=lambda model: model.__name__)
    return {
        "asyncapi": "3.0.0",
        "info": {"title": title, "version": version, "description": ABOUT},
        "defaultContentType": "application/json",
        "servers": SERVERS,
        "channels": {channel.name: _channel(channel) for channel in channels} | {REPLIES: _replies(answers)},
        "operations": dict(_operations(channels)),
        "components": {
            "messages": {model.__name__: _message(model, requests.values()) for model in models},
            "schemas": _schemas(models),
        },
        "x-refusals": {code.value: meaning for code, meaning in MEANINGS.items()},
        "x-try-again": {code.value: advice for code, advice in TRY_AGAIN.items()},
        "x-close-codes": {str(code.value): closing._asdict() for code, closing in CLOSINGS.items()},
        "x-streams": {stream.name: _stream(stream) for stream in ALL},
    }


def _sockets() -> Iterator[Channel]:
    place: Json = {
        "servers": [{"$ref": "#/servers/gateway"}],
        "bindings": {"ws": {"method": "GET", "query": _ASKED, "bindingVersion": "0.1.0"}},
    }
    yield Channel(
        "signaling",
        SOCKET,
        {"title": "Signaling", "description": ABOUT_SIGNALING} | place,
        received=frames.IN,
        sent=frames.OUT,
    )
    yield Channel(
        "signaling.warp",
        SOCKET,
        {"title": "Signaling, as the shipped game client speaks it", "description": warp.__doc__} | place,
        received=warp.IN,
        sent=warp.OUT,
    )


def _asking(rpc: Rpc[Any, Any]) -> Channel:
    refusals = sorted(rpc.refusals | BY_EVERY_REQUEST)
    reply = {
        "address": {"location": "$message.header#/reply", "description": "The reply subject of the request."},
        "channel": {"$ref": f"#/channels/{REPLIES}"},
        "messages": _listed(REPLIES, (rpc.answer, Refusal)),
    }
    details = {
        "description": "Refused as " + ", ".join(f"`{code}`" for code in refusals) + ".",
        "reply": reply,
        "bindings": {
            "nats": {**({} if rpc.asks_all else {"queue": _ANSWERED_BY[rpc.subject]}), "bindingVersion": "0.1.0"}
        },
        "x-refusals": refusals,
        "x-asked-by": [grant.name for grant in (*PROCESSES, *OUTSIDE) if rpc in grant.asks],
    }
    return Channel(
        rpc.subject, rpc.subject, _on_nats("request", rpc.subject), received=(rpc.question,), details=details
    )


def _telling(subject: Subject[Any]) -> Channel:
    told_by_others = any(subject in grant.tells for grant in OUTSIDE)
    stream = catalogue.stream_of(subject)
    kind = "fact" if issubclass(subject.body, Fact) else "message"
    about = _on_nats(kind, subject.pattern) | ({"x-stream": stream.name} if stream else {})
    name = subject.pattern.replace("{", "").replace("}", "")
    if told_by_others:
        return Channel(name, subject.pattern, about, received=(subject.body,))
    return Channel(name, subject.pattern, about, sent=(subject.body,))


def _on_nats(kind: str, subject: str) -> Json:
    family = subject.removeprefix("p2p.events.").removeprefix("p2p.").split(".")[0]
    return {"servers": [{"$ref": "#/servers/nats"}], "tags": [{"name": kind}, {"name": family}]}


def _channel(channel: Channel) -> Json:
    words = [word.split("}")[0] for word in channel.address.split("{")[1:]]
    parameters = {word: {"description": "Encoded, as the description of this document says."} for word in words}
    return {
        "address": channel.address,
        "messages": _referred(channel.received + channel.sent),
        **channel.about,
        **({"parameters": parameters} if parameters else {}),
    }


def _replies(answers: Iterable[type[BaseModel]]) -> Json:
    return {"address": None, "messages": _referred(sorted(answers, key=lambda model: model.__name__))}


def _referred(models: Iterable[type[BaseModel]]) -> Json:
    return {model.__name__: {"$ref": f"#/components/messages/{model.__name__}"} for model in models}


def _operations(channels: Iterable[Channel]) -> Iterator[tuple[str, Json]]:
    for channel in channels:
        for action, models in (("receive", channel.received), ("send", channel.sent)):
            if models:
                here = {"$ref": f"#/channels/{channel.name}"}
                about = {"action": action, "channel": here, "messages": _listed(channel.name, models)}
                yield f"{action}.{channel.name}", about | channel.details


def _listed(channel: str, models: Iterable[type[BaseModel]]) -> list[dict[str, str]]:
    return [{"$ref": f"#/channels/{channel}/messages/{model.__name__}"} for model in models]


def _message(model: type[BaseModel], requests: Iterable[Rpc[Any, Any]]) -> Json:
    about: Json = {
        "summary": (model.__doc__ or model.__name__).strip().splitlines()[0],
        "payload": {"$ref": f"#/components/schemas/{model.__name__}"},
    }
    if model.__name__ in catalogue.messages():
        about["examples"] = [{"payload": json.loads(catalogue.golden(model))}]
    if headers := _headers(model, requests):
        about["headers"] = {"type": "object", "properties": headers}
    return about


def _headers(model: type[BaseModel], requests: Iterable[Rpc[Any, Any]]) -> Json:
    if model is Refusal:
        return _REFUSAL_HEADERS
    if issubclass(model, Fact):
        return _FACT_HEADERS
    return _REQUEST_HEADERS if any(rpc.question is model for rpc in requests) else {}


def _stream(stream: Stream) -> Json:
    kept_s = None if stream.max_age is None else stream.max_age.total_seconds()
    return {
        "subjects": stream.subjects,
        "max_age_s": kept_s,
        "max_messages_per_subject": None if stream.max_per_subject < 0 else stream.max_per_subject,
    }


def _schemas(models: Iterable[type[BaseModel]], *, at: str = "#/components/schemas/{model}") -> Json:
    wanted: list[tuple[type[BaseModel], JsonSchemaMode]] = [(model, "validation") for model in models]
    _, found = models_json_schema(wanted, ref_template=at)
    schemas: Json = found["$defs"]
    return schemas


DIALECT = {"$schema": "https://json-schema.org/draft/2020-12/schema"}


def every_schema() -> Json:
    """All messages as one JSON Schema: `#/$defs/{message}`."""
    return DIALECT | {"$defs": _schemas(catalogue.messages().values(), at="#/$defs/{model}")}


def schema_of(message: str) -> Mapping[str, Any] | None:
    """One message as a JSON Schema that needs no other; None when there is no such message."""
    model = catalogue.messages().get(message)
    return None if model is None else DIALECT | model.model_json_schema()
