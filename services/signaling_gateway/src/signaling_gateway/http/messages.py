"""The AsyncAPI document: what programs may say and hear on NATS and on the signaling WebSocket, by the contracts."""

from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from contracts import frames, gateway, hosts, jobs, npcs, sessions, zones
from contracts.subjects import Rpc, Subject
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

MODULES = (hosts, zones, sessions, jobs, npcs, gateway)

BETWEEN_GATEWAYS = "p2p.gateway."

HEARD = frozenset({hosts.HEARTBEAT.pattern, npcs.NPC_STATE.pattern, npcs.ENVIRONMENT.pattern})
"""What others publish; all other subjects with an identifier in them are ours to publish."""

SOCKET = "/api/v1/signaling/ws"

_MODEL = "#/components/schemas/{model}"


@dataclass(frozen=True)
class Channel:
    """One address, and what passes there."""

    address: str
    received: tuple[type[BaseModel], ...] = ()
    sent: tuple[type[BaseModel], ...] = ()
    is_request: bool = False

    @property
    def name(self) -> str:
        return self.address.replace("{", "").replace("}", "").strip("/").replace("/", ".")


def channels() -> Iterator[Channel]:
    """All that the contracts publish for others."""
    yield Channel(SOCKET, received=frames.IN, sent=frames.OUT)
    for module in MODULES:
        yield from _channels_in(module)


def _channels_in(module: ModuleType) -> Iterator[Channel]:
    for value in vars(module).values():
        match value:
            case Rpc():
                yield Channel(value.subject, received=(value.question,), sent=(value.answer,), is_request=True)
            case Subject() if value.pattern in HEARD:
                yield Channel(value.pattern, received=(value.body,))
            case Subject() if not value.pattern.startswith(BETWEEN_GATEWAYS):
                yield Channel(value.pattern, sent=(value.body,))


def asyncapi(title: str, version: str) -> dict[str, Any]:
    """Write the document."""
    found = {channel.name: channel for channel in channels()}
    models = {model for channel in found.values() for model in (*channel.received, *channel.sent)}
    ordered = sorted(models, key=lambda model: model.__name__)
    wanted: list[tuple[type[BaseModel], JsonSchemaMode]] = [(model, "validation") for model in ordered]
    _, schemas = models_json_schema(wanted, ref_template=_MODEL)
    return {
        "asyncapi": "3.0.0",
        "info": {"title": title, "version": version},
        "defaultContentType": "application/json",
        "channels": {name: _channel(channel) for name, channel in found.items()},
        "operations": dict(_operations(found)),
        "components": {
            "messages": {model.__name__: _message(model) for model in ordered},
            "schemas": schemas["$defs"],
        },
    }


def _channel(channel: Channel) -> dict[str, Any]:
    names = [model.__name__ for model in (*channel.received, *channel.sent)]
    parameters: dict[str, Any] = {
        word[1:].split("}")[0]: {} for word in channel.address.split(".") if word.startswith("{")
    }
    described: dict[str, Any] = {
        "address": channel.address,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
    }
    return described | ({"parameters": parameters} if parameters else {})


def _operations(found: dict[str, Channel]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, channel in found.items():
        here = {"$ref": f"#/channels/{name}"}
        if channel.received:
            reply = {"reply": {"messages": _listed(name, channel.sent)}} if channel.is_request else {}
            yield (
                f"receive.{name}",
                {"action": "receive", "channel": here, "messages": _listed(name, channel.received)} | reply,
            )
        if channel.sent and not channel.is_request:
            yield f"send.{name}", {"action": "send", "channel": here, "messages": _listed(name, channel.sent)}


def _listed(channel: str, models: tuple[type[BaseModel], ...]) -> list[dict[str, str]]:
    return [{"$ref": f"#/channels/{channel}/messages/{model.__name__}"} for model in models]


def _message(model: type[BaseModel]) -> dict[str, Any]:
    summary = (model.__doc__ or model.__name__).strip().splitlines()[0]
    return {"summary": summary, "payload": {"$ref": _MODEL.format(model=model.__name__)}}
