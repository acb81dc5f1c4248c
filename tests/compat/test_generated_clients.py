"""Clients that a public generator makes of the two served documents, whole, compile and complete a join.

datamodel-code-generator makes a client of OpenAPI's calls, and of AsyncAPI the messages; it makes no sockets, so what
carries those is websockets and nats-py. asyncapi-python, which makes whole clients of AsyncAPI 3, knows AMQP alone.
"""

import compileall
import json
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import nats
import pytest
from testkit.clients import connect
from testkit.patience import patient, within
from testkit.suites import RunningSuite
from websockets.asyncio.client import ClientConnection

PATIENCE_S = 10

GENERATOR = (
    *(sys.executable, "-m", "datamodel_code_generator"),
    *("--output-model-type", "pydantic_v2.BaseModel", "--target-python-version", "3.11", "--formatters", "builtin"),
)
REST, MESSAGES = "generated_rest", "generated_messages"


@pytest.fixture(scope="module")
def documents(suite: RunningSuite) -> dict[str, Any]:
    with httpx.Client(base_url=suite.gateways[0], timeout=patient(PATIENCE_S)) as client:
        return {name: client.get(f"/{name}.json").json() for name in ("openapi", "asyncapi")}


@pytest.fixture(scope="module")
def generated(
    suite: RunningSuite, documents: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """A folder with both, from which they can be imported."""
    folder = tmp_path_factory.mktemp("generated")
    of_rest = (
        *("--output", f"{folder}/{REST}/models.py", "--generate-client", "httpx2"),
        *("--client-output", f"{folder}/{REST}/client", "--client-package", f"{REST}.client"),
        *("--client-model-package", f"{REST}.models", "--client-server-base-url", suite.gateways[0]),
    )
    asked = {"openapi": of_rest, "asyncapi": ("--output", f"{folder}/{MESSAGES}.py")}
    for kind, options in asked.items():
        (folder / f"{kind}.json").write_text(json.dumps(documents[kind]))
        command = (*GENERATOR, "--input", f"{folder}/{kind}.json", "--input-file-type", kind, *options)
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        assert made.returncode == 0, made.stderr
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(folder)
        yield folder


@pytest.fixture(scope="module")
def rest(generated: Path) -> Any:
    return import_module(f"{REST}.client")


@pytest.fixture(scope="module")
def models(generated: Path) -> Any:
    return import_module(f"{REST}.models")


@pytest.fixture(scope="module")
def messages(generated: Path) -> Any:
    return import_module(MESSAGES)


def test_all_of_them_compiles(generated: Path) -> None:
    assert compileall.compile_dir(generated, quiet=1)


def test_every_example_of_a_message_is_one_by_its_generated_class(documents: dict[str, Any], messages: Any) -> None:
    for name, about in documents["asyncapi"]["components"]["messages"].items():
        for example in about.get("examples", ()):  # nothing at all has none
            read = getattr(messages, name).model_validate(example["payload"])
            assert read.model_dump(mode="json", by_alias=True).keys() >= example["payload"].keys(), name


async def test_they_complete_a_join(
    suite: RunningSuite, documents: dict[str, Any], rest: Any, models: Any, messages: Any
) -> None:
    async with rest.AsyncClient() as anybody:
        told = await anybody.auth.post_auth_token(body=models.TokenWishBody(player_id="gina"))
    async with rest.AsyncClient(token=told.access_token) as client:
        host = await client.hosts.post_hosts_register(
            body=models.RegisterHostBody(
                host_id="generated-host",
                player_id="p",
                player_name="Gen",
                cpu_cores=8,
                memory_mb=16384,
                network_speed_mbps=1000,
            )
        )
        zone = await client.zones.post_zones(
            body=models.PutZoneBody(zone_id="generated", zone_name="g", zone_display_name="Generated", map_name="g")
        )
        session = await client.sessions.post_sessions(
            body=models.CreateSessionBody(zone_id=zone.zone_id, host_id=host.host_id)
        )
        await _join(documents["asyncapi"], suite, messages, session.session_id, host.peer_id)
        seated = await client.sessions.get_sessions_session(session=session.session_id)
        assert seated.connected_players == ["gina"]
        with pytest.raises(import_module(f"{REST}.client.errors").NotFoundError):
            await client.sessions.get_sessions_session(session="no-such-session")

    broker = await nats.connect(suite.nats)
    question = messages.NameHost(host_id=host.host_id).model_dump_json()
    answer = await broker.request("p2p.hosts.get", question.encode(), timeout=patient(PATIENCE_S))
    assert messages.Host.model_validate_json(answer.data).peer_id == host.peer_id
    await broker.close()


async def _join(asyncapi: Any, suite: RunningSuite, messages: Any, session_id: str, host_peer_id: str) -> None:
    url = suite.gateways[0].replace("http", "ws", 1) + asyncapi["channels"]["signaling"]["address"]
    async with connect(f"{url}?peer_id={host_peer_id}") as at_host, connect(f"{url}?peer_id=gina") as gina:
        assert (await _heard(at_host, messages.SessionAssigned)).session_id == session_id
        await _say(gina, messages.Join(type="join", session_id=session_id))
        joined = await _heard(gina, messages.SessionJoined)
        assert (await _heard(at_host, messages.PeerJoined)).peer_id == "gina"
        await _say(gina, messages.Offer(type="offer", to=joined.host_peer_id, sdp="v=0 offered"))
        offered = await _heard(at_host, messages.OfferOut)
        answer = messages.Answer(type="answer", to=offered.from_, session_id=offered.session_id, sdp="v=0 answered")
        await _say(at_host, answer)
        answered = await _heard(gina, messages.AnswerOut)
        assert (answered.from_, answered.sdp.model_dump()) == (host_peer_id, "v=0 answered")


async def _say(socket: ClientConnection, message: Any) -> None:
    await socket.send(message.model_dump_json(by_alias=True, exclude_none=True))


async def _heard(socket: ClientConnection, kind: Any) -> Any:
    async with within(PATIENCE_S):
        return kind.model_validate_json(await socket.recv())
