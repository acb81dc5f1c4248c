"""Game and AI servers on FastStream: with its test broker, then on a real NATS."""

import json
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import nats
import pytest
from contracts import catalogue
from contracts.grants import AI_SERVER, GAME_SERVER, everything_like
from contracts.hosts import FIND_HOSTS, HEARTBEAT, HOST_OFFLINE, HOST_ONLINE, FindHosts, Heartbeat, HostFact, HostsFound
from contracts.npcs import NPC_EVENT, NPC_STATE, NpcEvent, NpcState
from contracts.refusals import Code, Refusal
from contracts.sessions import SESSION_JOINED, SESSION_LEFT, SessionFact
from contracts.streams import EVENTS, NPC
from contracts.subjects import Subject
from faststream import Path
from faststream.exceptions import StopConsume
from faststream.nats import NatsResponse, TestNatsBroker
from nats.js.api import StreamConfig
from sdk import RefusedError
from sdk.faststream import P2pBroker
from sdk.nats_link import nats_link
from testkit.eventually import eventually
from testkit.examples import example
from testkit.nats_accounts import guarded_nats
from testkit.patience import patient

from libs.sdk.examples.faststream_guard import guard

PUBLIC = catalogue.subjects().values()
TOLD = [kind for kind in PUBLIC if kind in (*GAME_SERVER.tells, *AI_SERVER.tells)]
HEARD = [
    kind
    for kind in PUBLIC
    if any(heard in (kind, everything_like(kind)) for heard in (*GAME_SERVER.hears, *AI_SERVER.hears))
]


def by_pattern(kinds: list[Subject[Any]]) -> Any:
    return pytest.mark.parametrize("kind", kinds, ids=lambda kind: kind.pattern)


def identifiers(kind: Subject[Any]) -> dict[str, str]:
    names = [part.split("}")[0] for part in kind.pattern.split("{")[1:]]
    return {name: f"1@{name}" for name in names}


@by_pattern(TOLD)
async def test_whatever_they_may_say_goes_where_its_contract_says(kind):
    broker = P2pBroker()
    tell, message = broker.tells(kind), example(kind.body)
    heard = []

    async def hear(body: dict[str, Any]) -> None:
        heard.append(body)

    broker.subscriber(kind.of(**identifiers(kind)), stream=tell.publisher.stream)(hear)
    async with TestNatsBroker(broker):
        await tell(message, **identifiers(kind))
        assert heard == [message.model_dump(mode="json", exclude_none=True)]
        tell.publisher.mock.assert_called_once_with(heard[0])


@by_pattern(HEARD)
async def test_whatever_they_may_hear_comes_typed(kind):
    broker = P2pBroker()
    heard = []

    async def hear(message: Any) -> None:
        heard.append(message)

    broker.hears(kind)(hear)

    async with TestNatsBroker(broker):
        await broker.publish(catalogue.golden(kind.body).encode(), kind.of(**identifiers(kind)))
    assert heard == [example(kind.body)]


def test_game_servers_and_ai_servers_have_all_kinds():
    assert {HEARTBEAT, NPC_STATE} <= {*TOLD}
    assert {HOST_OFFLINE, SESSION_JOINED, NPC_EVENT} <= {*HEARD}


async def test_identifiers_come_out_of_the_subject_and_narrow_it():
    broker = P2pBroker()
    heard = []

    @broker.hears(NPC_EVENT, zone_id="1@tower")
    async def hear(event: NpcEvent, npc_id: Annotated[str, Path()]) -> None:
        heard.append(npc_id)

    event = example(NpcEvent)
    async with TestNatsBroker(broker):
        for zone_id, npc_id in (("prontera", "guard"), ("1@tower", "1@smith")):
            await broker.publish(event, NPC_EVENT.of(zone_id=zone_id, npc_id=npc_id))
    assert heard == ["1@smith"]


async def test_a_question_is_answered_typed_or_refused_with_its_code():
    broker = P2pBroker()

    @broker.subscriber(FIND_HOSTS.subject)
    async def find(asked: FindHosts) -> HostsFound | NatsResponse:
        if asked.seats == 1:
            return HostsFound(candidates=())
        refusal = Refusal(code=Code.HOST_NOT_FOUND, detail="There is no such host.")
        return NatsResponse(refusal, headers={"Nats-Service-Error": refusal.code.value})

    async with TestNatsBroker(broker):
        assert (await broker.ask(FIND_HOSTS, FindHosts(seats=1))).candidates == ()
        with pytest.raises(RefusedError, match="no such host") as refused:
            await broker.ask(FIND_HOSTS, FindHosts(seats=2))
    assert refused.value.code is Code.HOST_NOT_FOUND


def test_things_of_which_none_is_kept_are_heard_one_kind_at_a_time():
    with pytest.raises(ValueError, match="only facts"):
        P2pBroker().hears(NPC_EVENT, Subject(SESSION_JOINED.pattern, NpcEvent))


async def test_the_example_makes_who_is_insulted_alert():
    broker = guard("nats://127.0.0.1:4222")
    [say] = broker.publishers
    async with TestNatsBroker(broker):
        for event in ("greeted", "insulted"):
            subject = NPC_EVENT.of(zone_id="prontera", npc_id="guard")
            await broker.publish(example(NpcEvent, event=event), subject)
        say.mock.assert_called_once_with(
            NpcState(npc_id="guard", status="alert", urgent=True).model_dump(mode="json", exclude_none=True)
        )


@pytest.fixture
async def client(nats_url):
    """Plain NATS, as any other program would use it; the coordinator's streams are there."""
    connection = await nats.connect(nats_url, max_reconnect_attempts=-1, reconnect_time_wait=0.1)
    await declare(connection)
    yield connection
    await connection.close()


async def declare(connection):
    for stream in (EVENTS, NPC):
        await connection.jetstream(timeout=patient(5)).add_stream(
            StreamConfig(name=stream.name, subjects=[*stream.subjects])
        )


async def announce(client, kind, revision):
    fact = example(SessionFact, revision=revision, event_id=f"event-{revision}")
    await client.jetstream(timeout=patient(5)).publish(kind.of(session_id="s"), fact.model_dump_json().encode())


@pytest.fixture
def revisions():
    return []


@pytest.fixture
async def listening(nats_url, client, revisions):
    """Hears facts of seats, and fails at every tenth of them."""
    await announce(client, SESSION_JOINED, 1)  # before anybody listens
    broker = P2pBroker(nats_url)

    @broker.hears(SESSION_JOINED, SESSION_LEFT)
    async def hear(fact: SessionFact, session_id: Annotated[str, Path()]) -> None:
        assert session_id == "s"
        revisions.append(fact.revision)
        if fact.revision % 10 == 0:
            raise KeyError(fact.revision)

    async with broker:
        await broker.start()
        yield broker


@pytest.mark.usefixtures("listening")
async def test_facts_come_in_order_from_now_on_past_what_fails_or_cannot_be_read(client, revisions):
    for revision in range(2, 22):
        await announce(client, (SESSION_JOINED, SESSION_LEFT)[revision % 2], revision)
        await client.jetstream(timeout=patient(5)).publish(SESSION_JOINED.of(session_id="s"), b"[]")
    await eventually(lambda: len(revisions) == 20)
    assert revisions == [*range(2, 22)]


@pytest.mark.usefixtures("listening")
async def test_handlers_on_faststream_miss_no_fact_and_hear_none_twice_when_nats_restarts(
    client, nats_server, revisions
):
    await announce(client, SESSION_JOINED, 2)
    await eventually(lambda: revisions)
    await nats_server.restart()
    for revision in (3, 4):
        await announce(client, SESSION_JOINED, revision)
    await eventually(lambda: len(revisions) == 3, within=20)
    assert revisions == [2, 3, 4]


async def test_a_handler_that_has_heard_enough_is_told_no_more(nats_url, client, revisions):
    broker, all_of_them = P2pBroker(nats_url), []

    @broker.hears(SESSION_JOINED)
    async def once(fact: SessionFact) -> None:
        revisions.append(fact.revision)
        raise StopConsume

    @broker.hears(SESSION_JOINED)
    async def always(fact: SessionFact) -> None:
        all_of_them.append(fact.revision)

    async with broker:
        await broker.start()
        for revision in (1, 2):
            await announce(client, SESSION_JOINED, revision)
        await eventually(lambda: len(all_of_them) == 2)

        async def only_one_is_read() -> bool:
            consumers = await client.jsm(timeout=patient(5)).consumers_info(EVENTS.name)
            return sum(bool(consumer.push_bound) for consumer in consumers) == 1

        await eventually(only_one_is_read)
    assert revisions == [1]


async def test_facts_of_before_are_heard_where_they_are_asked_for(nats_url, client, revisions):
    await announce(client, SESSION_JOINED, 1)
    broker = P2pBroker(nats_url)

    @broker.hears(SESSION_JOINED, since=datetime.now(UTC) - timedelta(hours=1), session_id="s")
    async def hear(fact: SessionFact) -> None:
        revisions.append(fact.revision)

    async with broker:
        await broker.start()
        await eventually(lambda: revisions == [1])


async def test_what_a_stream_keeps_is_stored_once_through_an_outage(client, nats_server):
    broker = P2pBroker(nats_server.url)
    say, beat = broker.tells(NPC_STATE), broker.tells(HEARTBEAT)
    async with broker:
        beats = await client.subscribe("p2p.heartbeat.*")
        await client.flush()
        await beat(Heartbeat(latency_ms=2), host_id="host.1")
        assert (await beats.next_msg(timeout=patient(5))).data == b'{"latency_ms":2.0}'
        await nats_server.restart()
        await say(NpcState(npc_id="smith", x=1), zone_id="1@tower", npc_id="smith")
    message = await client.jetstream(timeout=patient(5)).get_last_msg(NPC.name, "p2p.npc.1%40tower.smith")
    assert json.loads(message.data)["x"] == 1
    assert message.seq == 1


async def test_with_credentials_each_hears_and_says_what_it_may(tmp_path):
    heard = set()
    async with guarded_nats(tmp_path) as server:
        game = P2pBroker(server.url, "game-1", server.issue("game-1", "game"))
        ai = P2pBroker(server.url, "ai-1", server.issue("ai-1", "ai", zones=["1@tower"]))

        @game.hears(HOST_OFFLINE, HOST_ONLINE, host_id="h")
        async def lost(fact: HostFact) -> None:
            heard.add("lost")

        @ai.hears(NPC_EVENT, zone_id="1@tower")
        async def seen(event: NpcEvent) -> None:
            heard.add("seen")

        beat, say = game.tells(HEARTBEAT), ai.tells(NPC_STATE)
        ours = [
            nats_link(server.url, name, server.issue(name, name))
            for name in ("host_registry", "signaling_gateway", "operator")
        ]
        async with ours[0] as registry, ours[1] as gateway, ours[2] as operator, game, ai:
            await declare(registry.client)
            async with operator.hearing(HEARTBEAT.wildcard) as beats:
                await game.start()
                await ai.start()
                await beat(Heartbeat(), host_id="h")
                assert (await anext(beats)).subject == "p2p.heartbeat.h"
            await say(NpcState(npc_id="smith"), zone_id="1@tower", npc_id="smith")
            await registry.publish_stored(HOST_OFFLINE.of(host_id="h"), example(HostFact))
            await gateway.publish(NPC_EVENT.of(zone_id="1@tower", npc_id="smith"), example(NpcEvent))
            await eventually(lambda: heard == {"lost", "seen"})
            assert (await registry.client.jetstream(timeout=patient(5)).stream_info(NPC.name)).state.messages == 1
