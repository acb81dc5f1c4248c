"""A client that knows the two served documents and nothing else: not a path, not a field, not a line of our code.

It asks and says only what they have, checked before it is sent, and takes nothing that they have not: an answer or a
frame with a field that no schema names fails.
"""

import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import httpx
import jsonschema_rs
from testkit.clients import connect
from testkit.patience import within
from websockets.asyncio.client import ClientConnection

PATIENCE_S = 10

Json = dict[str, Any]


class Document:
    """One of the two, and what it refers to inside itself."""

    def __init__(self, text: str) -> None:
        self.whole: Json = json.loads(text)
        self._strict = _closed(self.whole)

    def at(self, thing: Json) -> Json:
        """What is said, or what is referred to, however often."""
        while "$ref" in thing:
            found: Any = self.whole
            for step in thing["$ref"].removeprefix("#/").split("/"):
                found = found[step.replace("~1", "/").replace("~0", "~")]
            thing = found
        return thing

    def check(self, schema: Json, value: Any) -> None:
        """Hold a value to a schema: every field that it has is to be in there."""
        whole = {**self._strict, **_closed(schema)}
        jsonschema_rs.Draft202012Validator(whole, validate_formats=True).validate(value)


def _closed(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {word: _closed(about) for word, about in schema.items()}
    if schema.get("type") == "object" and "properties" in schema:
        closed.setdefault("additionalProperties", False)
    return closed


class Rest:
    """Asks operations of an OpenAPI document by what they are about."""

    def __init__(self, document: Document, client: httpx.AsyncClient) -> None:
        self._document = document
        self._client = client

    async def ask(self, tag: str, summary: str, *, path: Json | None = None, **changed: Any) -> Any:
        """Send the operation's first example, with these fields of its body changed; give the answer's body."""
        method, template, operation = self._find(tag, summary)
        url = re.sub(r"\{(\w+)\}", lambda found: quote(str((path or {})[found[1]]), safe=""), template)
        body = self._body(operation, changed) if "requestBody" in operation else None
        answer = await self._client.request(method, url, json=body)
        assert str(answer.status_code) in operation["responses"], (
            f"{answer.status_code} is not documented: {answer.text}"
        )
        assert answer.is_success, answer.text
        content = operation["responses"][str(answer.status_code)]["content"]
        about = content[answer.headers["content-type"].split(";")[0]]
        self._document.check(about["schema"], answer.json())
        return answer.json()

    def _find(self, tag: str, summary: str) -> tuple[str, str, Json]:
        (found,) = (
            (method, path, operation)
            for path, item in self._document.whole["paths"].items()
            for method, operation in item.items()
            if tag in operation["tags"] and operation["summary"] == summary
        )
        return found

    def _body(self, operation: Json, changed: Json) -> Json:
        content = operation["requestBody"]["content"]["application/json"]
        example = self._document.at(next(iter(content["examples"].values())))["value"]
        body: Json = example | changed
        self._document.check(content["schema"], body)
        return body


class Peer:
    """One WebSocket: says and hears messages of the channel's two operations."""

    def __init__(self, document: Document, channel: str, socket: ClientConnection) -> None:
        self._document = document
        self._socket = socket
        self._said = dict(self._messages(channel, "receive"))  # as the application sees it
        self._heard = dict(self._messages(channel, "send"))

    def _messages(self, channel: str, action: str) -> Iterator[tuple[str, Json]]:
        for operation in self._document.whole["operations"].values():
            if operation["action"] == action and operation["channel"] == {"$ref": f"#/channels/{channel}"}:
                for reference in operation["messages"]:
                    message = self._document.at(reference)
                    kind = self._document.at(message["payload"])["properties"]["type"]
                    yield from ((word, message) for word in kind.get("enum", [kind.get("const")]))

    async def say(self, kind: str, **changed: Any) -> None:
        """Send what is required of such a frame, as its example has it, with these fields as they are given."""
        message = self._said[kind]
        example = message["examples"][0]["payload"] | {"type": kind} | changed
        required = self._document.at(message["payload"])["required"]
        frame = {name: value for name, value in example.items() if name in required or name in changed}
        self._document.check(message["payload"], frame)
        await self._socket.send(json.dumps(frame))

    async def hear(self, kind: str) -> Json:
        """The next frame, which must be of this kind and as the document has it."""
        async with within(PATIENCE_S):
            frame: Json = json.loads(await self._socket.recv())
        assert frame["type"] == kind, frame
        self._document.check(self._heard[kind]["payload"], frame)
        return frame


class Sockets:
    """Opens channels of an AsyncAPI document."""

    def __init__(self, document: Document, place: str) -> None:
        self._document = document
        self._place = urlsplit(place).netloc
        """Where the document came from, as its server says to put in."""

    @asynccontextmanager
    async def open(self, channel: str, **query: str) -> AsyncIterator[Peer]:
        about = self._document.whole["channels"][channel]
        self._document.check(about["bindings"]["ws"]["query"], query)
        server = self._document.at(about["servers"][0])
        host = re.sub(r"\{\w+\}", self._place, server["host"])
        async with connect(f"{server['protocol']}://{host}{about['address']}?{urlencode(query)}") as socket:
            yield Peer(self._document, channel, socket)
