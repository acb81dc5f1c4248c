"""The whole service on real servers, asked and told as others do it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import nats
import pytest
from chassis.bus import Bus
from chassis.refusals import RefusedError, ServiceError
from chassis.requests import call
from contracts.gateway import ICE_REPORTED, PEER_DISCONNECTED, IceState
from contracts.hosts import (
    BEAT_HOST,
    CHANGE_HOST,
    COUNT_HOSTS,
    DELETE_HOST,
    DRAIN_HOST,
    FIND_HOSTS,
    FIND_PEER_HOST,
    GET_HOST,
    LIST_HOSTS,
    REGISTER_HOST,
    RELEASE_SLOT,
    RESERVE_SLOT,
    BeatHost,
    ChangeHost,
    FindHosts,
    Host,
    HostFact,
    HostStatus,
    ListHosts,
    NameHost,
    NamePeer,
    RegisterHost,
    ReleaseSlot,
    ReserveSlot,
    ScoreChanged,
)
from contracts.refusals import Code
from contracts.sessions import SESSION_CREATED, SESSION_FELL_BACK, SessionStatus
from contracts.subjects import Message, Nothing, Rpc
from host_registry.app import service
from host_registry.settings import Settings
from nats.aio.msg import Msg
from testkit.eventually import eventually
from testkit.patience import patient
from testkit.servers import TestServer

from services.host_registry.tests.telling import open_socket, presence, tell
from services.host_registry.tests.world import ice_outcome, session_fact

pytestmark = pytest.mark.usefixtures("host_registry")

PATIENT = timedelta(seconds=patient(30))
"""Many at once on a busy machine: none is refused for lateness."""

HOST = RegisterHost(
    host_id="host-12345",
    player_id="player-67890",
    player_name="PlayerOne",
    cpu_cores=8,
    memory_mb=16384,
    network_speed_mbps=1000,
)
NAME = NameHost(host_id=HOST.host_id)


class Heard:
    """What came on some subjects, as any NATS client sees it."""

    def __init__(self) -> None:
        self.messages: list[Msg] = []

    async def take(self, msg: Msg) -> None:
        self.messages.append(msg)

    @property
    def subjects(self) -> list[str]:
        return [msg.subject for msg in self.messages]


@asynccontextmanager
async def hearing(bus: Bus, subject: str) -> AsyncIterator[Heard]:
    heard = Heard()
    subscription = await bus.subscribe(subject, heard.take)
    await bus.client.flush()
    yield heard
    await subscription.unsubscribe()


async def status(bus: Bus) -> HostStatus:
    return (await call(bus, GET_HOST, NAME)).status


async def test_every_request_is_answered_as_the_contract_says(bus: Bus) -> None:
    host = await call(bus, REGISTER_HOST, HOST)
    assert await call(bus, GET_HOST, NAME) == host
    assert (await call(bus, BEAT_HOST, BeatHost(host_id=HOST.host_id, latency_ms=10))).latency_ms == 10
    assert (await call(bus, CHANGE_HOST, ChangeHost(host_id=HOST.host_id, region="eu"))).region == "eu"
    assert [each.host_id for each in (await call(bus, LIST_HOSTS, ListHosts())).items] == [HOST.host_id]
    found = await call(bus, FIND_HOSTS, FindHosts(regions=("us",), rejected=True))
    assert [candidate.rejections for candidate in found.candidates] == [("region_not_allowed",)]
    slot = ReserveSlot(host_id=HOST.host_id, session_id="session-1", zone_id="prontera")
    assert (await call(bus, RESERVE_SLOT, slot)).host_id == HOST.host_id
    await call(bus, RELEASE_SLOT, ReleaseSlot(host_id=HOST.host_id, session_id="session-1"))
    assert (await call(bus, FIND_PEER_HOST, NamePeer(peer_id=HOST.host_id))).host is not None
    assert (await call(bus, FIND_PEER_HOST, NamePeer(peer_id="nobody"))).host is None
    assert (await call(bus, COUNT_HOSTS, Nothing())).online == 1
    assert (await call(bus, DRAIN_HOST, NAME)).status is HostStatus.DRAINING
    await call(bus, DELETE_HOST, NAME)


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ((GET_HOST, NAME), Code.HOST_NOT_FOUND),
        ((BEAT_HOST, BeatHost(host_id="nobody")), Code.HOST_NOT_FOUND),
        ((DELETE_HOST, NAME), Code.HOST_NOT_FOUND),
        ((CHANGE_HOST, ChangeHost(host_id="nobody", status=HostStatus.OFFLINE)), Code.WRONG_STATE),
        ((RESERVE_SLOT, ReserveSlot(host_id="nobody", session_id="s", zone_id="z")), Code.HOST_NOT_FOUND),
        ((LIST_HOSTS, ListHosts(cursor="made up")), Code.INVALID),
    ],
)
async def test_a_refusal_has_its_code(bus: Bus, asked: tuple[Rpc[Any, Any], Message], code: Code) -> None:
    with pytest.raises(RefusedError) as error:
        await call(bus, *asked)
    assert error.value.refusal.code is code


async def test_80_simultaneous_registrations_of_one_host_are_80_successes_and_one_row(bus: Bus) -> None:
    hosts = await asyncio.gather(*(call(bus, REGISTER_HOST, HOST, deadline=PATIENT) for _ in range(80)))
    assert len({host.id for host in hosts}) == 1
    assert (await call(bus, COUNT_HOSTS, Nothing())).total == 1


async def test_a_beat_published_by_plain_nats_counts(bus: Bus, nats_url: str) -> None:
    before = await call(bus, REGISTER_HOST, HOST)
    body = {"latency_ms": 10, "packet_loss_percent": 0, "current_players": 1}
    client = await nats.connect(nats_url)
    await client.publish("p2p.heartbeat.host-12345", json.dumps(body).encode())
    await client.close()

    async def scored() -> bool:
        return (await call(bus, GET_HOST, NAME)).quality_score == 98.5

    await eventually(scored)
    assert (await call(bus, GET_HOST, NAME)).last_heartbeat != before.last_heartbeat


async def test_a_beat_with_an_empty_body_counts(bus: Bus) -> None:
    before = (await call(bus, REGISTER_HOST, HOST)).last_heartbeat
    await bus.publish("p2p.heartbeat.host-12345")

    async def renewed() -> bool:
        return (await call(bus, GET_HOST, NAME)).last_heartbeat != before

    await eventually(renewed)


async def test_beats_that_cannot_be_used_are_dead_letters_and_hurt_nobody(bus: Bus) -> None:
    await call(bus, REGISTER_HOST, HOST)
    async with hearing(bus, "p2p.dlq.>") as letters:
        await bus.publish("p2p.heartbeat.nobody", b"{}")
        await bus.publish("p2p.heartbeat.not.encoded", b"{}")
        await bus.publish("p2p.heartbeat.host-12345", b'{"latency_ms": "fast"}')
        await bus.publish("p2p.heartbeat.host-12345", b'{"latency_ms": 5e-324}')
        await eventually(lambda: len(letters.messages) == 2)
    reasons = {(msg.headers or {})["p2p-subject"]: (msg.headers or {})["p2p-reason"] for msg in letters.messages}
    assert reasons == {"p2p.heartbeat.nobody": "unknown_host", "p2p.heartbeat.not.encoded": "bad_subject"}
    assert (await call(bus, GET_HOST, NAME)).latency_ms == 5e-324


async def test_what_happens_to_a_host_is_told_in_order(bus: Bus) -> None:
    async with hearing(bus, "p2p.events.hosts.>") as facts:
        await call(bus, REGISTER_HOST, HOST)
        await call(bus, CHANGE_HOST, ChangeHost(host_id=HOST.host_id, region="eu"))
        await call(bus, DRAIN_HOST, NAME)
        await call(bus, REGISTER_HOST, HOST)
        await call(bus, DELETE_HOST, NAME)
        await eventually(lambda: len(facts.messages) == 6)
    told = [subject.removeprefix("p2p.events.hosts.host-12345.") for subject in facts.subjects]
    assert told == ["registered", "changed", "draining", "registered", "online", "deleted"]
    revisions = [HostFact.model_validate_json(msg.data).revision for msg in facts.messages]
    assert revisions == sorted(revisions)


async def test_a_score_that_moved_is_told(bus: Bus, settings: Settings) -> None:
    quick = settings.model_copy(update={"score_told_every_s": 0.001, "instance": "quick"})
    async with service(quick), hearing(bus, "p2p.events.hosts.*.score-changed") as told:
        await call(bus, REGISTER_HOST, HOST)

        async def moved() -> bool:
            await call(bus, BEAT_HOST, BeatHost(host_id=HOST.host_id, latency_ms=0))
            await call(bus, BEAT_HOST, BeatHost(host_id=HOST.host_id, latency_ms=300))
            return bool(told.messages)

        await eventually(moved)
    change = ScoreChanged.model_validate_json(told.messages[0].data)
    assert abs(change.quality_score - change.previous) >= 5


async def test_silent_hosts_are_suspect_then_offline_and_a_beat_brings_them_back(bus: Bus, settings: Settings) -> None:
    impatient = settings.model_copy(update={"suspect_after_s": 0.5, "offline_after_s": 1.0, "instance": "impatient"})
    async with service(impatient), hearing(bus, "p2p.events.hosts.>") as facts:
        await call(bus, REGISTER_HOST, HOST)
        await eventually(lambda: len(facts.messages) == 3)
        assert await status(bus) is HostStatus.OFFLINE
        await bus.publish("p2p.heartbeat.host-12345")
        await eventually(lambda: len(facts.messages) >= 4)
    told = [subject.removeprefix("p2p.events.hosts.host-12345.") for subject in facts.subjects]
    assert told[:4] == ["registered", "suspect", "offline", "online"]


async def test_a_host_whose_gateway_tells_that_its_socket_closed_is_lost(bus: Bus) -> None:
    await call(bus, REGISTER_HOST, HOST)
    await open_socket(bus, HOST.host_id)
    closed = presence(HOST.host_id, 2)
    await bus.publish(PEER_DISCONNECTED.of(gateway_id="gw-1"), closed.model_dump_json().encode())

    async def lost() -> bool:
        return await status(bus) is HostStatus.OFFLINE

    await eventually(lost)


async def test_a_host_that_its_players_and_its_gateway_have_lost_is_lost_at_once(bus: Bus) -> None:
    await call(bus, REGISTER_HOST, HOST)
    await open_socket(bus, HOST.host_id)
    await call(bus, RESERVE_SLOT, ReserveSlot(host_id=HOST.host_id, session_id="session-1", zone_id="prontera"))
    async with hearing(bus, "p2p.events.hosts.>") as facts:
        for player in ("alice", "bob"):
            told = ice_outcome(IceState.DISCONNECTED, HOST.host_id, player)
            now = told.model_copy(update={"occurred_at": datetime.now(UTC)})
            await tell(bus, ICE_REPORTED.of(gateway_id="gw-1"), now)
        await eventually(lambda: len(facts.messages) == 1)
        await tell(bus, PEER_DISCONNECTED.of(gateway_id="gw-1"), presence(HOST.host_id, 2))
        await eventually(lambda: len(facts.messages) == 2)
    told_of = [HostFact.model_validate_json(msg.data) for msg in facts.messages]
    assert [(fact.host.status, fact.reason) for fact in told_of] == [
        (HostStatus.SUSPECT, "players_lost_it"),
        (HostStatus.OFFLINE, "players_lost_it"),
    ]


async def test_a_sessions_fact_confirms_its_slot_and_tells_the_seats(bus: Bus) -> None:
    await call(bus, REGISTER_HOST, HOST)
    fact = session_fact("session-1", host_id=HOST.host_id, players=3)
    subject = SESSION_CREATED.of(session_id="session-1")
    await tell(bus, subject, fact)

    async def taken() -> bool:
        (candidate,) = (await call(bus, FIND_HOSTS, FindHosts(host_id=HOST.host_id))).candidates
        return (candidate.slots_taken, candidate.seats_taken) == (1, 3)

    await eventually(taken)


async def test_a_sessions_fall_back_frees_its_slot(bus: Bus) -> None:
    await call(bus, REGISTER_HOST, HOST)

    async def slots(taken: int) -> bool:
        (candidate,) = (await call(bus, FIND_HOSTS, FindHosts(host_id=HOST.host_id))).candidates
        return candidate.slots_taken == taken

    created, fell_back = SESSION_CREATED.of(session_id="session-1"), SESSION_FELL_BACK.of(session_id="session-1")
    await tell(bus, created, session_fact(host_id=HOST.host_id))
    await eventually(lambda: slots(1))
    await tell(bus, fell_back, session_fact(host_id=HOST.host_id, revision=2, status=SessionStatus.FALLBACK))
    await eventually(lambda: slots(0))


async def test_any_number_of_registries_work_side_by_side(bus: Bus, settings: Settings) -> None:
    async with AsyncExitStack() as stack:
        for number in range(2):
            more = settings.model_copy(update={"instance": f"more-{number}"})
            await stack.enter_async_context(service(more))
        names = [f"host-{number}" for number in range(30)]
        hosts = [HOST.model_copy(update={"host_id": name}) for name in names]
        await asyncio.gather(*(call(bus, REGISTER_HOST, host) for host in hosts))
        for turn in range(20):
            for name in names:
                await bus.publish(f"p2p.heartbeat.{name}", json.dumps({"latency_ms": turn}).encode())
        slots = [ReserveSlot(host_id=names[0], session_id=f"s{number}", zone_id="z") for number in range(40)]
        given = await asyncio.gather(
            *(call(bus, RESERVE_SLOT, slot, deadline=PATIENT) for slot in slots), return_exceptions=True
        )
        assert sum(isinstance(host, Host) for host in given) == 5

        async def all_say(latency_ms: set[float]) -> bool:
            page = await call(bus, LIST_HOSTS, ListHosts())
            return {host.latency_ms for host in page.items} <= latency_ms

        await eventually(lambda: all_say({float(turn) for turn in range(20)}))
        for name in names:
            await bus.publish(f"p2p.heartbeat.{name}", b'{"latency_ms": 99}')
        await eventually(lambda: all_say({99.0}))


async def test_beats_that_came_before_a_stop_are_kept(bus: Bus, settings: Settings) -> None:
    await call(bus, REGISTER_HOST, HOST)
    slow = settings.model_copy(update={"tick_s": 3600.0, "instance": "slow"})
    async with service(slow):
        for turn in range(200):
            await bus.publish("p2p.heartbeat.host-12345", json.dumps({"current_zones": turn}).encode())
        await bus.client.flush()

    async def heard() -> bool:
        return (await call(bus, GET_HOST, NAME)).current_zones >= 190

    await eventually(heard)


async def test_a_restart_of_nats_loses_no_host_and_beats_go_on(bus: Bus, nats_server: TestServer) -> None:
    await call(bus, REGISTER_HOST, HOST)
    await nats_server.restart()

    async def heard_again() -> bool:
        await bus.publish("p2p.heartbeat.host-12345", b'{"latency_ms": 77}')
        try:
            return (await call(bus, GET_HOST, NAME)).latency_ms == 77
        except ServiceError:
            return False

    await eventually(lambda: bus.connected)
    await eventually(heard_again, within=10)
    assert await status(bus) is HostStatus.ONLINE


async def test_a_crash_of_postgres_loses_no_host_and_no_beat(bus: Bus, postgres_server: TestServer) -> None:
    await call(bus, REGISTER_HOST, HOST)
    await postgres_server.kill()
    await bus.publish("p2p.heartbeat.host-12345", b'{"latency_ms": 77}')
    await postgres_server.start()

    async def heard() -> bool:
        try:
            return (await call(bus, GET_HOST, NAME)).latency_ms == 77
        except ServiceError:
            return False

    await eventually(heard, within=10)
    assert await status(bus) is HostStatus.ONLINE
