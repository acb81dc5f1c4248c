"""In enforced mode everybody is somebody on NATS: the suite works under its accounts, and others do what they may."""

import json
import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest
import redis.asyncio as redis
from contracts.hosts import Heartbeat
from contracts.npcs import NpcState
from contracts.sessions import GET_SESSION, NameSession
from embedded.nats_accounts import Accounts
from embedded.plan import Mode
from embedded.secrets import nats_directory, operator_credentials
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.errors import TimeoutError as NatsTimeoutError
from redis.exceptions import AuthenticationError
from sdk import AiServer, GameServer
from testkit.clients import http_client
from testkit.eventually import eventually
from testkit.patience import patient, within
from testkit.suites import RunningSuite, running_suite

from libs.cli.tests import terminal
from services.signaling_gateway.tests.signaling.client import dial, leaving

HOST = {"player_id": "p", "player_name": "n", "network_speed_mbps": 1000, "cpu_cores": 8, "memory_mb": 16384}
ZONE = {"zone_name": "Z", "zone_display_name": "Z", "npc_feed_interval_s": 0.5}

Enter = Callable[[Path | None], Awaitable["Plain"]]
Issue = Callable[..., Path]


@pytest.fixture(scope="module")
def suite() -> Iterator[RunningSuite]:
    """NATS asks everybody, the two gateways nobody: who may what over REST and WebSocket has tests of its own."""
    environment = {"P2P_MODE": "open"}
    with running_suite({"signaling_gateway": 2}, environment=environment, mode=Mode.ENFORCED) as running:
        yield running


@pytest.fixture
def p2p(suite: RunningSuite) -> Callable[..., str]:
    """Run a subcommand on the suite's data directory and give what it says."""

    def run(*arguments: object) -> str:
        said = terminal.p2p(*arguments, "--data-dir", suite.data_dir)
        assert said.code == 0, said.error
        return said.out

    return run


@pytest.fixture
def issue(p2p: Callable[..., str], suite: RunningSuite, tmp_path: Path) -> Iterator[Issue]:
    """Have `p2p keys create` write credentials; they are revoked when the test is over."""
    names: list[str] = []

    def create(name: str, role: str, *zones: str) -> Path:
        file = tmp_path / f"{name}.creds"
        named = [word for zone in zones for word in ("--zone", zone)]
        assert p2p("keys", "create", "--role", role, "--name", name, "--nats", file, *named).strip() == str(file)
        names.append(name)
        return file

    yield create
    for name in names:
        accounts = Accounts(nats_directory(suite.data_dir))
        if any(user.name == name and user.revoked_at is None for user in accounts.users):
            accounts.revoke(name)


class Plain(Client):
    """nats-py as anybody would use it; notes what it is refused."""

    def __init__(self) -> None:
        super().__init__()
        self.refused: list[str] = []

    async def note(self, error: Exception) -> None:
        self.refused.append(str(error))

    async def refusal(self, subject: str) -> str:
        """Wait for the server's word against this subject, which nats-py gives in lower case."""
        found = await eventually(
            lambda: next((words for words in self.refused if f'"{subject.lower()}"' in words), ""),
            of=f"a refusal of {subject}",
        )
        assert found.startswith("nats: permissions violation")
        return found


@pytest.fixture
async def enter(suite: RunningSuite) -> AsyncIterator[Enter]:
    """Enter NATS with a credentials file."""
    clients: list[Plain] = []

    async def connect(credentials: Path | None) -> Plain:
        client = Plain()
        clients.append(client)
        await client.connect(
            suite.nats,
            user_credentials=credentials,
            inbox_prefix=f"_INBOX_{credentials.stem}" if credentials else "_INBOX",
            error_cb=client.note,
            allow_reconnect=False,
        )
        return client

    yield connect
    for client in clients:
        await client.close()


@pytest.fixture
async def operator(suite: RunningSuite, enter: Enter) -> Client:
    return await enter(operator_credentials(suite.data_dir))


async def _metric(suite: RunningSuite, instance: str, name: str) -> float:
    """Of one process, summed over its labels."""
    async with http_client(base_url=suite.http(instance)) as client:
        lines = (await client.get("/metrics")).text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


async def _in_all(suite: RunningSuite, name: str) -> dict[str, float]:
    return {instance: await _metric(suite, instance, name) for instance in suite.instances}


async def _playing(api: httpx.AsyncClient, zone_id: str) -> None:
    """A zone and the one host that may serve it."""
    zone = {**ZONE, "zone_id": zone_id, "map_name": zone_id, "regions": [zone_id]}
    assert (await api.post("/api/v1/zones/", json=zone)).status_code == 201
    host = {**HOST, "host_id": f"host-{zone_id}", "region": zone_id}
    assert (await api.post("/api/v1/hosts/register", json=host)).status_code == 201


async def test_all_of_the_suite_works_under_its_accounts_and_nobody_is_refused_anything(
    suite: RunningSuite, api: httpx.AsyncClient, operator: Client, issue: Issue
) -> None:
    await _playing(api, "harbour")
    here, there = suite.gateways
    host, ann, bea = await dial(here, "host-harbour"), await dial(there, "ann"), await dial(here, "bea")
    game = GameServer(suite.nats, credentials=issue("game-1", "game"))
    ai = AiServer(suite.nats, credentials=issue("ai-1", "ai", "harbour"))
    async with leaving(host, ann, bea), game, ai, game.sessions() as facts, ai.npc_events("harbour") as npc_events:
        await ann.say("enter", zone_id="harbour")
        session_id = (await ann.hear_until("session-joined"))["session_id"]
        await bea.say("enter", zone_id="harbour")
        assert (await ann.hear_until("peer-joined"))["peer_id"] == "bea"
        await host.hear_until("session-assigned")
        await ann.say("offer", to="host-harbour", sdp="v=0")
        offer = await host.hear_until("offer")
        await host.say("answer", to="ann", sdp="v=0 too", session_id=offer["session_id"])
        assert (await ann.hear_until("answer"))["sdp"] == "v=0 too"
        await ann.say("ice-result", to="host-harbour", state="connected", candidate_type="host", elapsed_ms=20)
        assert (await game.ask(GET_SESSION, NameSession(session=session_id))).current_players == 2
        async with within(10):
            while "bea" not in (await anext(facts)).fact.players_joined:
                pass

        await ann.say("subscribe", feed="harbour")
        await ai.publish("harbour", NpcState(npc_id="fisher", name="Old Fisher", x=1, y=2))
        while not (await ann.hear_until("npc-state"))["npcs"]:
            pass
        await host.say("npc-event", zone_id="harbour", npc_id="fisher", event="greeted", data={"by": "ann"})
        async with within(5):
            assert (await anext(npc_events)).event == "greeted"

        await game.heartbeat("host-harbour", Heartbeat(latency_ms=17))

        async def beaten() -> bool:
            return bool((await api.get("/api/v1/hosts/host-harbour")).json()["latency_ms"] == 17)

        await eventually(beaten)
        await _until_led(operator)
        await api.post(f"/api/v1/sessions/{session_id}/end")
        await ann.hear_until("session-ended")
    dashboard = (await api.get("/api/v1/monitoring/dashboard")).json()
    assert dashboard["system"]["nats"]
    assert set((await _in_all(suite, "p2p_bus_not_permitted_total")).values()) == {0}
    assert not [line for line in suite.log if "not_permitted" in line]


async def _until_led(operator: Client) -> None:
    async def led() -> Any:
        jobs = json.loads((await operator.request("p2p.jobs.list", b"{}", timeout=patient(5))).data)
        assert jobs["leader"]
        due = json.loads(
            (await operator.request("p2p.jobs.run", b'{"job": "session-cleanup"}', timeout=patient(5))).data
        )
        assert due["job"] == "session-cleanup"
        return due

    await eventually(led)


async def test_the_operator_sees_the_services_and_what_is_asked_of_them(operator: Client) -> None:
    services = await operator.subscribe(inbox := operator.new_inbox())
    await operator.publish("$SRV.INFO", b"", reply=inbox)
    names: set[str] = set()
    async with within(5):
        while len(names) < 5:
            names.add(json.loads((await services.next_msg(timeout=patient(5))).data)["name"])
    assert (await operator.jetstream(timeout=patient(5)).stream_info("EVENTS")).config.name == "EVENTS"


@pytest.mark.parametrize(
    "subject",
    [
        "p2p.events.sessions.x.ended",
        "p2p.feed.prontera",
        "p2p.gateway.signaling_gateway-1.deliver.ann.s",
        "p2p.npc.prontera.cat",
        "p2p.sessions.clean",
        "p2p.zones.place",
        "p2p.jobs.session-cleanup.due",
        "p2p.access.create_key",
        "_INBOX_zone_manager.made-up.1",
        "$JS.API.STREAM.PURGE.EVENTS",
        "$JS.API.STREAM.DELETE.EVENTS",
        "$JS.API.CONSUMER.DELETE.EVENTS.session_manager-ice",
        "$JS.API.CONSUMER.CREATE.EVENTS",  # the old form: the name is in the body
        "$JS.API.CONSUMER.CREATE.EVENTS.session_manager-ice",
        "$JS.API.CONSUMER.CREATE.EVENTS.game-20-1",
        "$JS.API.CONSUMER.DURABLE.CREATE.EVENTS.session_manager-ice",
        "$KV.scheduler.lease",
        "$SYS.REQ.SERVER.PING",
    ],
)
async def test_a_game_server_can_t_say_what_is_a_process_s_to_say(
    subject: str, enter: Enter, issue: Issue, operator: Client
) -> None:
    heard = await operator.subscribe("p2p.>")
    await operator.flush()
    game = await enter(issue("game-2", "game"))
    await game.publish(subject, b'{"said": "by a game server"}')
    await game.refusal(subject)
    await operator.flush()
    assert not await _heard(heard, b"by a game server")


async def _heard(subscription: Any, words: bytes) -> list[str]:
    """Where these words came, of all that is there."""
    found: list[str] = []
    while True:
        try:
            message = await subscription.next_msg(timeout=0.1)
        except NatsTimeoutError:
            return found
        if words in message.data:
            found.append(message.subject)


@pytest.mark.parametrize(
    "subject",
    ["p2p.sessions.join", "p2p.hosts.>", "_INBOX_zone_manager.>", "_INBOX_operator.*.*", ">", "$JS.>", "$SRV.PING"],
)
async def test_a_game_server_can_t_answer_for_a_process_nor_listen_in(subject: str, enter: Enter, issue: Issue) -> None:
    game = await enter(issue("game-3", "game"))
    await game.subscribe(subject)
    await game.refusal(subject)


async def test_a_reader_of_facts_can_t_take_a_service_s_consumer(enter: Enter, issue: Issue, operator: Client) -> None:
    before = (await operator.jetstream(timeout=patient(5)).consumer_info("EVENTS", "zone_manager-sessions")).config
    game = await enter(issue("game-4", "game"))
    for named in ({"durable_name": "zone_manager-sessions"}, {"name": "zone_manager-sessions"}):
        config = {**named, "filter_subject": "p2p.events.jobs.>", "ack_policy": "explicit"}
        wish = json.dumps({"stream_name": "EVENTS", "config": config, "action": ""}).encode()
        answer = json.loads(
            (await game.request("$JS.API.CONSUMER.CREATE.EVENTS.game-4-0", wish, timeout=patient(5))).data
        )
        assert "error" in answer or answer["name"] == "game-4-0"
    assert (
        await operator.jetstream(timeout=patient(5)).consumer_info("EVENTS", "zone_manager-sessions")
    ).config == before


async def test_no_answer_is_led_to_where_facts_are_told(enter: Enter, issue: Issue, operator: Client) -> None:
    heard = await operator.subscribe("p2p.events.>")
    await operator.flush()
    game = await enter(issue("game-5", "game"))
    await game.publish("p2p.hosts.get", b'{"host_id": "led-astray"}', reply="p2p.events.hosts.led-astray.offline")
    await game.request("p2p.hosts.get", b'{"host_id": "answered"}', timeout=patient(5))
    assert not await _heard(heard, b"led-astray")


async def test_an_ai_server_speaks_of_its_own_zones_alone(enter: Enter, issue: Issue, operator: Client) -> None:
    ai = await enter(issue("ai-2", "ai", "prontera", "1@tower"))
    for subject in ("p2p.npc.prontera.cat", "p2p.npc.1%40tower.cat", "p2p.environment.prontera"):
        assert json.loads((await ai.request(subject, b'{"npc_id": "cat"}', timeout=patient(5))).data)["stream"] == "NPC"
    for subject in ("p2p.npc.geffen.cat", "p2p.environment.geffen", "p2p.heartbeat.h", "p2p.hosts.list"):
        await ai.publish(subject, b"{}")
        await ai.refusal(subject)
    await ai.subscribe("p2p.npcevents.geffen.*")
    await ai.refusal("p2p.npcevents.geffen.*")


async def test_who_is_revoked_is_cut_off_and_everybody_else_stays(
    suite: RunningSuite, enter: Enter, issue: Issue, p2p: Callable[..., str]
) -> None:
    revoked, stays = issue("game-6", "game"), issue("game-7", "game")
    gone, other = await enter(revoked), await enter(stays)
    assert p2p("keys", "revoke", "game-6", "--nats").strip() == "game-6 is revoked and cut off"
    await eventually(lambda: gone.is_closed)
    await other.flush()
    with pytest.raises(NatsError, match="Authorization Violation"):
        await enter(revoked)
    states = {user["name"]: user["revoked_at"] for user in json.loads(p2p("keys", "list", "--nats", "--json"))}
    assert states["game-6"] is not None
    assert states["game-7"] is None
    assert set((await _in_all(suite, "p2p_bus_disconnects_total")).values()) == {0}


async def test_nobody_enters_without_credentials(enter: Enter) -> None:
    with pytest.raises(NatsError, match="Authorization Violation"):
        await enter(None)


async def test_nor_the_other_servers_without_their_password(suite: RunningSuite) -> None:
    without = suite.postgres("host_registry").replace(_password(suite.postgres("host_registry")), "guessed")
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(without)
    async with redis.from_url(suite.redis.replace(_password(suite.redis), "guessed")) as client:
        with pytest.raises(AuthenticationError):
            await client.ping()


def _password(url: str) -> str:
    password = urlsplit(url).password
    assert password
    return password


def test_what_the_suite_keeps_to_itself_is_closed_to_others(suite: RunningSuite) -> None:
    files = [path for path in (suite.data_dir / "secrets").rglob("*") if path.suffix != ".pem"]
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in files}
    assert {name: mode for name, mode in modes.items() if mode not in (0o600, 0o700)} == {}
    assert modes.keys() >= {"nats", "postgres", "redis", "jwt", "turn", "accounts.json", "operator.creds"}
