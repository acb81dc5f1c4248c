"""`p2p doctor` and keys at the door, on a suite in enforced mode with a STUN and a TURN server."""

import json
from collections import defaultdict
from datetime import UTC, datetime, timedelta

import asyncpg
import httpx
import pytest
from cli.doctor.clocks import clock
from cli.doctor.findings import Verdict
from cli.doctor.ice import Address, address_of
from contracts.credentials import inbox_prefix
from embedded.plan import Mode
from embedded.ports import free_port
from nats import connect
from testkit.eventually import eventually
from testkit.patience import patient
from testkit.suites import running_suite

from libs.cli.tests.relay import relay
from libs.cli.tests.terminal import on_terminal, p2p

pytestmark = pytest.mark.servers

TURN_SECRET = "of-the-turn-server-and-the-gateway-alone"


@pytest.fixture(scope="module")
def ice():
    """The ports of a server that shares the gateway's secret, and of one that has another."""
    with relay(TURN_SECRET) as ours, relay("another") as foreign:
        yield ours, foreign


@pytest.fixture(scope="module")
def suite(ice):
    ours, foreign = ice
    environment = {
        "STUN_SERVER": f"stun:127.0.0.1:{ours},stun:127.0.0.1:{free_port()}",
        "TURN_SERVER": f"turn:127.0.0.1:{ours},turn:127.0.0.1:{foreign}",
        "TURN_SECRET": TURN_SECRET,
    }
    with running_suite(mode=Mode.ENFORCED, environment=environment) as running:
        yield running


@pytest.fixture(scope="module")
def keys(suite):
    """One of a server and one of an operator, which the gateway knows."""

    def made(role):
        said = p2p("keys", "create", "--role", role, "--name", f"a {role}", "--data-dir", suite.data_dir)
        assert said.code == 0, said.error
        return said.out.strip()

    return {role: made(role) for role in ("server", "operator")}


def findings(*words, environment=None):
    """What it tells programs, by check and by whom it is about; and its exit code."""
    said = p2p("doctor", "--json", *words, environment=environment)
    assert said.error == ""
    told: dict[str, dict[str, dict[str, str]]] = defaultdict(dict)
    for finding in json.loads(said.out)["findings"]:
        told[finding["check"]][finding["about"]] = finding
    return said.code, told


def verdicts(told, check):
    return {about: finding["verdict"] for about, finding in told[check].items()}


def test_a_suite_that_is_well_is_told_to_be(suite):
    code, told = findings("--data-dir", suite.data_dir)
    assert code == 0, told
    for check in ("ports", "services", "clocks", "jetstream", "migrations", "versions", "disk"):
        assert set(verdicts(told, check).values()) == {"ok"}, told[check]
    assert verdicts(told, "ports").keys() == {"NATS", "PostgreSQL", "Redis"}
    assert verdicts(told, "jetstream").keys() == {"storage", "EVENTS", "AUDIT", "JOBS", "NPC", "DLQ", "CHECKPOINTS"}
    assert verdicts(told, "services").keys() == set(suite.instances)
    assert verdicts(told, "clocks").keys() == {"NATS", "PostgreSQL", "Redis", "signaling_gateway-1"}
    assert told["versions"]["host_registry"]["detail"].startswith("1 of ")
    assert told["migrations"]["host_registry"]["detail"].endswith("the newest")


def test_without_a_key_ice_servers_stay_unknown_and_it_says_what_to_do(suite):
    _, told = findings("--data-dir", suite.data_dir)
    assert told["turn"]["ICE servers"]["verdict"] == "warning"
    assert "--key or P2P_KEY" in told["turn"]["ICE servers"]["remedy"]


async def test_ice_servers_are_asked_for_a_binding_and_an_address(suite, keys, ice):
    ours, foreign = ice
    code, told = await eventually(lambda: _known(suite, keys), within=5, of="the key at the gateway")
    turn = told["turn"]
    assert code == 1
    assert turn[f"stun:127.0.0.1:{ours}"]["detail"] == "answers"
    assert turn[f"turn:127.0.0.1:{ours}"]["detail"] == "relays for us at 192.0.2.1:50000"
    assert turn[f"turn:127.0.0.1:{foreign}"]["detail"] == "it does not relay for us: 401 Unauthorized"
    assert "static-auth-secret" in turn[f"turn:127.0.0.1:{foreign}"]["remedy"]
    assert sorted(finding["verdict"] for finding in turn.values()) == ["failed", "failed", "ok", "ok"]


def _known(suite, keys):
    code, told = findings("--url", suite.gateways[0], environment={"P2P_KEY": keys["server"]})
    return (code, told) if "ICE servers" not in told["turn"] else None


async def test_a_database_behind_its_release_is_named(suite):
    connection = await asyncpg.connect(suite.postgres("zone_manager"))
    newest = "SELECT max(version) FROM schema_migrations WHERE owner = 'service'"
    move = "UPDATE schema_migrations SET version = version + $1 WHERE owner = 'service' AND version = $2"
    try:
        version = await connection.fetchval(newest)
        await connection.execute(move, 100, version)
        code, told = findings("--data-dir", suite.data_dir)
        assert (code, told["migrations"]["zone_manager"]["verdict"]) == (0, "warning")
        await connection.execute(move, -100 - version, version + 100)
        code, told = findings("--data-dir", suite.data_dir)
        assert (code, told["migrations"]["zone_manager"]["verdict"]) == (1, "failed")
        assert told["migrations"]["zone_manager"]["detail"] == f"at {version - 1} of {version}"
        await connection.execute(move, version, 0)
        assert await connection.fetchval(newest) == version
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("away", "about"), [("nats", "NATS"), ("postgres", "PostgreSQL"), ("redis", "Redis")], ids=["nats", "pg", "redis"]
)
async def test_a_server_that_is_away_is_named_with_those_who_miss_it(suite, away, about):
    async with suite.outage(away):
        code, told = findings("--data-dir", suite.data_dir)
        assert code == 1
        assert told["ports"][about]["verdict"] == "failed"
        assert "failed" in verdicts(told, "services").values()
        assert any(away in finding["detail"] for finding in told["services"].values())


async def test_a_service_that_is_away_is_named(suite):
    async with suite.outage("scheduler-1"):
        code, told = findings("--data-dir", suite.data_dir)
    assert code == 1
    assert told["versions"]["scheduler"]["detail"] == "none answers on NATS"
    assert told["services"]["scheduler-1"]["verdict"] == "failed"


async def test_streams_that_are_gone_are_named(suite):
    await _api(suite, "STREAM.DELETE.NPC")
    code, told = findings("--data-dir", suite.data_dir)
    assert (code, told["jetstream"]["NPC"]["verdict"]) == (1, "failed")
    await suite.kill("scheduler-1")
    code, told = findings("--data-dir", suite.data_dir)
    assert (code, told["jetstream"]["NPC"]["verdict"]) == (0, "ok")


async def _api(suite, what):
    operator = suite.data_dir / "secrets" / "nats" / "operator.creds"
    client = await connect(suite.nats, user_credentials=operator, inbox_prefix=inbox_prefix("operator"))
    await client.request(f"$JS.API.{what}", b"", timeout=patient(3))
    await client.close()


@pytest.mark.parametrize("width", [60, 120])
async def test_people_read_it_in_any_width(suite, width):
    # The tests before this one took things away.
    await eventually(lambda: findings("--data-dir", suite.data_dir)[0] == 0, within=20, of="a suite in order")
    code, lines = on_terminal("doctor", "--data-dir", suite.data_dir, width=width, environment={"NO_COLOR": "1"})
    assert code == 0
    assert max(map(len, lines)) <= width
    assert lines[-1].endswith(", 0 failed")


def test_on_a_machine_where_nothing_runs_it_says_what_is_needed(tmp_path):
    code, told = findings("--data-dir", tmp_path)
    assert verdicts(told, "versions") == dict.fromkeys(
        ("Python", "nats-server", "PostgreSQL", "Valkey", "services"), "ok"
    )
    assert told["services"]["suite"]["remedy"].split("`")[1].endswith(f"p2p up --data-dir {tmp_path}")
    assert "this shell" in told["open files"]
    assert code == ("failed" in verdicts(told, "ports").values())


def test_who_answers_nowhere_is_named():
    code, told = findings("--url", "http://127.0.0.1:1")
    assert (code, told["services"]["127.0.0.1:1"]["verdict"]) == (1, "failed")
    code, told = findings("--nats", "nats://127.0.0.1:1")
    assert (code, told["ports"]["NATS"]["verdict"]) == (1, "failed")


def test_a_gateway_is_asked_with_a_key_and_says_what_it_lacks(suite, keys):
    def asked(*words, key=None):
        return p2p(*words, "--url", suite.gateways[0], environment={"P2P_KEY": key} if key else None)

    assert asked("hosts", key=keys["operator"]) == (0, "no such host\n", "")
    assert p2p("zones", "--url", suite.gateways[0], "--key", keys["server"]).code == 0
    for said in (asked("hosts"), asked("hosts", key="p2p_operator_made_up")):
        assert (said.code, said.out, said.error.count("\n")) == (1, "", 1)
        assert "Name a good key with --key or P2P_KEY; `p2p keys create --role operator` makes one" in said.error
    forbidden = asked("keys", "list", key=keys["server"])
    assert (forbidden.code, forbidden.out, forbidden.error.count("\n")) == (1, "", 1)
    assert "It takes another key" in forbidden.error
    assert keys["server"] not in forbidden.error


def test_keys_are_made_listed_and_revoked_through_a_gateway_too(suite, keys):
    way = ("--url", suite.gateways[0], "--key", keys["operator"])
    made = p2p("keys", "create", "--role", "server", "--name", "from afar", *way)
    assert made.out.startswith("p2p_server_")
    listed = json.loads(p2p("keys", "list", "--json", *way).out)
    [key_id] = [key["key_id"] for key in listed if key["name"] == "from afar"]
    assert p2p("keys", "revoke", key_id, *way).out == f"{key_id} is revoked, and every token that it asked for\n"
    key = {"X-API-Key": made.out.strip()}
    assert httpx.get(f"{suite.gateways[0]}/api/v1/hosts", headers=key, timeout=patient(10)).status_code == 401
    assert p2p("kick", "nobody-here", *way).out.startswith("nobody-here is out; ")


def test_on_the_suites_own_machine_nobody_needs_a_key(suite):
    assert p2p("hosts", "--data-dir", suite.data_dir) == (0, "no such host\n", "")


ASKED = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("apart_s", "took_s", "step_s", "verdict"),
    [
        (0, 0.01, 0, Verdict.OK),
        (0.6, 0.01, 0, Verdict.WARNING),
        (-0.6, 0.01, 0, Verdict.WARNING),
        (0.6, 1.0, 0, Verdict.OK),
        (2.6, 1.0, 0, Verdict.FAILED),
        (-1.9, 0.01, 2, Verdict.OK),
        (-4.1, 0.01, 2, Verdict.FAILED),
    ],
)
def test_a_clock_is_judged_by_what_is_sure(apart_s, took_s, step_s, verdict):
    heard = ASKED + timedelta(seconds=took_s)
    theirs = ASKED + timedelta(seconds=took_s / 2 + apart_s)
    assert clock("NATS", theirs, ASKED, heard, timedelta(seconds=step_s)).verdict is verdict


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("stun:stun.example.org", Address("stun", "stun.example.org", 3478, "udp")),
        ("turn:10.0.0.1:3479?transport=tcp", Address("turn", "10.0.0.1", 3479, "tcp")),
        ("turns:turn.example.org", Address("turns", "turn.example.org", 5349, "tcp")),
        ("turn:[2001:db8::1]:3478", Address("turn", "2001:db8::1", 3478, "udp")),
        ("stun:[2001:db8::1]", Address("stun", "2001:db8::1", 3478, "udp")),
    ],
)
def test_urls_of_ice_servers_are_read(url, address):
    assert address_of(url) == address
