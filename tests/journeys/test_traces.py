"""A join is one trace over all services, told by one command; what its spans say is what OpenTelemetry agreed on."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.semconv._incubating.attributes import db_attributes, messaging_attributes, rpc_attributes
from opentelemetry.semconv.attributes import error_attributes, http_attributes, network_attributes, url_attributes
from testkit.eventually import eventually
from testkit.patience import patient
from testkit.spans import Span
from testkit.suites import RunningSuite

from libs.cli.tests import terminal
from libs.cli.tests.terminal import Said

HOST = {"player_id": "p", "player_name": "n", "cpu_cores": 8, "memory_mb": 16384, "network_speed_mbps": 1000}
OWNERS = {"signaling_gateway", "session_manager", "zone_manager", "host_registry"}

P2p = Callable[..., Said]


@pytest.fixture(scope="module")
def p2p(tmp_path_factory: pytest.TempPathFactory) -> Iterator[P2p]:
    """`p2p …` on a data directory where `p2p up` has started the suite in enforced mode, as anybody would."""
    data_dir = tmp_path_factory.mktemp("traced") / "data"

    def command(*arguments: str, columns: int = 80) -> Said:
        return terminal.p2p(
            *arguments, "--data-dir", data_dir, environment={"COLUMNS": str(columns)}, directory=data_dir.parent
        )

    started = command("up", "--detach", "--http-port", "0", "--mode", "enforced")
    assert started.code == 0, started.error
    yield command
    command("down")


@pytest.fixture(scope="module")
def session_id(p2p: P2p) -> str:
    """Of a session that one player's entering has brought about."""
    gateway = json.loads(p2p("status", "--json").out)["gateways"][0]
    headers = {"X-API-Key": p2p("keys", "create", "--role", "server").out.strip()}
    with httpx.Client(base_url=gateway, headers=headers, timeout=patient(10)) as api:
        assert api.post("/api/v1/hosts/register", json={**HOST, "host_id": "host-1"}).status_code == 201
        entered = api.post("/api/v1/sessions/join", json={"zone_id": "prontera", "peer_id": "ann"})
    assert entered.status_code == 200, entered.text
    found: str = entered.json()["session_id"]
    return found


@pytest.mark.servers
@pytest.mark.parametrize("columns", [60, 120])
def test_one_command_draws_a_join_as_a_waterfall_over_all_services(p2p: P2p, session_id: str, columns: int) -> None:
    drawn = p2p("trace", session_id, columns=columns)
    assert (drawn.code, drawn.error) == (0, "")
    lines = drawn.out.splitlines()
    assert lines[0].startswith("POST /api/v1/sessions/join: ")
    assert set(lines) >= OWNERS
    for step in ("p2p.sessions.enter", "p2p.zones.place", "p2p.hosts.reserve", "SELECT hosts.able", "publish p2p"):
        assert any(line.strip().startswith(step) and "━" in line and line.endswith(" ms") for line in lines), step
    assert "\x1b" not in drawn.out  # a pipe is no terminal
    assert max(map(len, lines)) <= columns


@pytest.mark.servers
def test_programs_are_told_its_spans(p2p: P2p, session_id: str) -> None:
    spans = json.loads(p2p("trace", session_id, "--json").out)
    assert {span["service"] for span in spans} >= OWNERS
    assert len({span["trace_id"] for span in spans}) == 1
    by_id = {span["span_id"]: span for span in spans}
    assert [span["name"] for span in spans if span["parent_id"] not in by_id] == ["POST /api/v1/sessions/join"]
    for span in spans:
        assert datetime.fromisoformat(span["start"]) <= datetime.fromisoformat(span["end"])
    consumers = [span for span in spans if span["kind"] == "CONSUMER"]
    assert consumers
    for span in consumers:
        assert by_id[span["parent_id"]]["name"].startswith("publish p2p.events.sessions.")
        assert span["links"] == [{"trace_id": span["trace_id"], "span_id": span["parent_id"]}]
    by_trace = json.loads(p2p("trace", spans[0]["trace_id"], "--json").out)
    assert {span["span_id"] for span in by_trace} == set(by_id)


@pytest.mark.servers
@pytest.mark.parametrize(
    ("what", "word"),
    [
        ("session-0000000000000000", "there is no session"),
        ("0af7651916cd43dd8448eb211c80319c", "To have one kept"),
        ("somewhere", "no trace that speaks of 'somewhere' is kept"),
    ],
)
def test_what_is_not_kept_is_said_with_what_to_do(p2p: P2p, what: str, word: str) -> None:
    refused = p2p("trace", what)
    assert (refused.code, refused.out) == (1, "")
    assert refused.error.startswith("error: ")
    assert word in refused.error


def test_without_a_suite_it_says_how_to_start_one(tmp_path: Path) -> None:
    refused = terminal.p2p("trace", "session-1", "--data-dir", tmp_path)
    assert refused.code == 1
    assert "p2p up" in refused.error


KNOWN = {
    value
    for module in (
        db_attributes,
        error_attributes,
        http_attributes,
        messaging_attributes,
        network_attributes,
        rpc_attributes,
        url_attributes,
    )
    for name, value in vars(module).items()
    if name.isupper() and isinstance(value, str)
} | {"server.address", "server.port"}

COMMANDS = "SELECT|INSERT|UPDATE|DELETE|MERGE|COMMIT"
SUBJECT = r"p2p(\.[a-z-]+)+"

CONVENTIONS: dict[str, tuple[str, str, dict[str, str]]] = {
    # what is asked of which spans: their kind, their name, and of attributes that must be there what they are
    "http": (
        "SERVER",
        r"POST /api/v1/[a-z/{}_]+",
        {
            "http.request.method": "POST",
            "http.response.status_code": "200",
            "http.route": r"/api/v1/[a-z/{}_]+",
            "network.protocol.version": r"1\.1",
            "url.path": r"/api/v1/[^?]+",
            "url.scheme": "http",
        },
    ),
    "rpc": (
        "CLIENT|SERVER",
        SUBJECT,
        {
            "rpc.system.name": "nats",
            "rpc.method": SUBJECT,
            "messaging.system": "nats",
            "messaging.operation.name": "request|answer",
            "messaging.operation.type": "send|process",
            "messaging.destination.name": SUBJECT,
        },
    ),
    "messaging": (
        "PRODUCER|CONSUMER",
        f"(publish|consume|receive) {SUBJECT}",
        {
            "messaging.system": "nats",
            "messaging.operation.name": "publish|consume|receive",
            "messaging.operation.type": "send|process",
            "messaging.destination.name": SUBJECT,
        },
    ),
    "postgresql": (
        "CLIENT",
        f"({COMMANDS})( [a-z_]+\\.[a-z_]+)?",
        {
            "db.system.name": "postgresql",
            "db.namespace": "session_manager|zone_manager|host_registry|scheduler",
            "db.operation.name": COMMANDS,
            "db.query.summary": f"({COMMANDS})( [a-z_]+\\.[a-z_]+)?",
            "server.address": r"127\.0\.0\.1",
            "server.port": r"\d+",
        },
    ),
    "redis": ("CLIENT", "[A-Z]+( [A-Z]+)?", {"db.system.name": "redis", "db.operation.name": "[A-Z]+( [A-Z]+)?"}),
}


def _convention_of(span: Span) -> str:
    about = span.attributes
    if "db.system.name" in about:
        return str(about["db.system.name"])
    return next((name for name, sign in SIGNS.items() if sign in about), "none")


SIGNS = {"http": "http.request.method", "rpc": "rpc.system.name", "messaging": "messaging.system"}


@pytest.fixture
async def entering(suite: RunningSuite, api: httpx.AsyncClient) -> list[Span]:
    """The spans of a player's entering by REST, a player's by WebSocket being the same behind the gateway."""
    zone = {"zone_name": "T", "zone_display_name": "T", "map_name": "t", "min_host_quality_score": 0}
    await api.post("/api/v1/zones/", json={**zone, "zone_id": "zone-traced"})
    await api.post("/api/v1/hosts/register", json={**HOST, "host_id": "host-traced"})
    entered = await api.post(
        "/api/v1/sessions/join",
        json={"zone_id": "zone-traced", "peer_id": "traced"},
        headers={"traceparent": "00-7af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
    )
    assert entered.status_code == 200, entered.text

    def whole() -> list[Span] | None:
        spans = suite.spans.spans_of("7af7651916cd43dd8448eb211c80319c")
        seen = {(span.service, span.kind) for span in spans}
        heard = {(owner, "CONSUMER") for owner in OWNERS - {"session_manager"}}
        return spans if heard | {("signaling_gateway", "SERVER")} <= seen else None

    spans = await eventually(whole, within=20, of="the whole trace")
    assert spans is not None
    return spans


async def test_the_spans_of_a_join_say_what_the_conventions_ask(entering: list[Span]) -> None:
    seen = set()
    for span in entering:
        convention = _convention_of(span)
        kind, name, asked = CONVENTIONS[convention]
        seen.add(convention)
        assert re.fullmatch(kind, span.kind), span
        assert re.fullmatch(name, span.name), span
        for attribute, value in asked.items():
            assert re.fullmatch(value, str(span.attributes.get(attribute))), (attribute, span)
    assert seen >= {"http", "rpc", "messaging", "postgresql"}


async def test_names_are_made_of_their_attributes_as_the_conventions_say(entering: list[Span]) -> None:
    for span in entering:
        about: dict[str, Any] = span.attributes
        match _convention_of(span):
            case "http":
                assert span.name == f"{about['http.request.method']} {about['http.route']}"
            case "rpc":
                assert span.name == about["rpc.method"]
            case "messaging":
                assert span.name == f"{about['messaging.operation.name']} {about['messaging.destination.name']}"
            case "postgresql":
                assert span.name == about["db.query.summary"]


async def test_every_attribute_is_one_of_the_conventions_or_of_ours(entering: list[Span]) -> None:
    used = {attribute for span in entering for attribute in span.attributes}
    assert {attribute for attribute in used if not attribute.startswith("p2p.")} <= KNOWN


async def test_no_identifier_is_part_of_a_name(entering: list[Span]) -> None:
    spoken = {str(value) for span in entering for key, value in span.attributes.items() if key.startswith("p2p.")}
    assert any(word.startswith("session-") for word in spoken)
    for span in entering:
        assert not [word for word in {*spoken, "zone-traced", "host-traced"} if word in span.name]
