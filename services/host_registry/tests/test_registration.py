"""A host comes, changes, drains and goes."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from chassis.idempotency import IdempotencyKeyReusedError
from chassis.requests import Asked, Caller
from contracts.hosts import ChangeHost, Host, HostFact, HostStatus, RegisterHost
from host_registry.errors import HostNotFoundError, NotForSettingError, NotHeardFromError, PeerTakenError
from host_registry.store.registrations import RegistrationStore

from services.host_registry.tests.world import SECOND, World, session_fact


async def change(world: World, host_id: str = "host-1", **fields: Any) -> Host:
    return Host.model_validate_json(await world.registration.change(ChangeHost(host_id=host_id, **fields)))


async def test_the_documented_registration_is_the_host_it_describes(world: World) -> None:
    host = await world.register("host-12345", cpu_cores=8, memory_mb=16384, network_speed_mbps=1000)
    now = world.clock.now()
    assert host == Host(
        id=host.id,
        host_id="host-12345",
        player_id="player-1",
        player_name="PlayerOne",
        peer_id="host-12345",
        ip_address=None,
        port=None,
        public_ip=None,
        cpu_cores=8,
        cpu_frequency_mhz=None,
        memory_mb=16384,
        network_speed_mbps=1000,
        latency_ms=None,
        packet_loss_percent=None,
        bandwidth_usage_mbps=None,
        status=HostStatus.ONLINE,
        max_players=50,
        current_players=0,
        max_zones=5,
        current_zones=0,
        quality_score=75.0,
        region=None,
        confidence=0.0,
        measured=False,
        connected=False,
        metadata=None,
        last_heartbeat=now,
        created_at=now,
        updated_at=now,
    )


async def test_every_field_that_is_registered_comes_back(world: World) -> None:
    fields: dict[str, Any] = {
        "ip_address": "10.0.0.1",
        "port": 7777,
        "public_ip": "203.0.113.9",
        "cpu_cores": 4,
        "cpu_frequency_mhz": 3600,
        "memory_mb": 8192,
        "network_speed_mbps": 100,
        "max_players": 20,
        "max_zones": 2,
        "region": "eu",
        "peer_id": "peer of host 1",
        "metadata": {"os": '日本 "quoted"', "tags": [1, 2.5, None, True], "big": 1e300},
    }
    host = await world.register(ice_servers=[{"urls": "stun:a"}], **fields)
    assert {name: value for name, value in host.model_dump().items() if name in fields} == fields


async def test_registering_again_renews_everything_but_identity(world: World) -> None:
    first = await world.register(cpu_cores=8, region="eu", metadata={"a": 1}, max_zones=2)
    world.clock.advance(SECOND)
    again = await world.register(cpu_cores=4)
    assert (again.id, again.created_at) == (first.id, first.created_at)
    assert (again.cpu_cores, again.region, again.metadata, again.max_zones) == (4, None, None, 5)
    assert again.updated_at == world.clock.now()


async def test_registering_counts_as_a_beat(world: World) -> None:
    await world.register()
    now = world.clock.advance(timedelta(seconds=15))
    assert (await world.register()).last_heartbeat == now


@pytest.mark.parametrize("host_id", ["1@tower", "gef fild07", "a.b", "日本", "%41", "*", ">", "it's"])
async def test_any_identifier_can_register_and_be_told(world: World, host_id: str) -> None:
    assert (await world.register(host_id)).host_id == host_id
    fact = (await world.told())[0]
    assert (fact["host_id"], fact["subject"].count(".")) == (host_id, 4)


async def test_of_80_simultaneous_registrations_of_one_host_all_succeed_and_one_row_is_there(world: World) -> None:
    hosts = await asyncio.gather(*(world.register(cpu_cores=number + 1) for number in range(80)))
    assert len({host.id for host in hosts}) == 1
    assert (await world.page()).items == (await world.host(),)
    assert await world.told_subjects() == ["host-1.registered"] * 80


async def test_the_facts_of_one_host_have_rising_revisions(world: World) -> None:
    await asyncio.gather(*(world.register() for _ in range(20)))
    revisions = [fact["revision"] for fact in await world.told()]
    assert revisions == sorted(set(revisions))


async def test_a_peer_id_belongs_to_one_host(world: World) -> None:
    await world.register("host-1", peer_id="peer")
    with pytest.raises(PeerTakenError):
        await world.register("host-2", peer_id="peer")
    with pytest.raises(PeerTakenError):
        await world.register("peer")
    assert [host.host_id for host in (await world.page()).items] == ["host-1"]


async def test_a_host_may_take_another_peer_id_and_leaves_its_own_free(world: World) -> None:
    await world.register("host-1", peer_id="peer")
    await world.register("host-1", peer_id="other")
    assert (await world.register("host-2", peer_id="peer")).peer_id == "peer"


async def test_the_host_of_a_peer_is_found_by_its_peer_id_alone(world: World) -> None:
    await world.register("host-1", peer_id="peer")
    found = await world.reader.of_peer("peer")
    assert found is not None
    assert Host.model_validate_json(found).host_id == "host-1"
    assert await world.reader.of_peer("host-1") is None


async def test_one_idempotency_key_is_one_registration(world: World) -> None:
    asked = Asked("p2p.hosts.register", Caller("server", "game-1"), "key-1")
    question = RegisterHost(host_id="host-1", player_id="p", player_name="n")
    first = await world.registration.register(question, asked)
    world.clock.advance(SECOND)
    assert await world.registration.register(question, asked) == first
    assert await world.told_subjects() == ["host-1.registered"]


async def test_an_idempotency_key_with_another_body_is_refused(world: World) -> None:
    asked = Asked("p2p.hosts.register", None, "key-1")
    await world.registration.register(RegisterHost(host_id="host-1", player_id="p", player_name="n"), asked)
    with pytest.raises(IdempotencyKeyReusedError):
        await world.registration.register(RegisterHost(host_id="host-2", player_id="p", player_name="n"), asked)


async def test_first_registrations_at_once_under_keys_of_their_own_succeed_too(world: World) -> None:
    question = RegisterHost(host_id="host-1", player_id="p", player_name="n")
    asked = [Asked("p2p.hosts.register", None, f"key-{number}") for number in range(8)]
    await asyncio.gather(*(world.registration.register(question, each) for each in asked))
    assert len((await world.page()).items) == 1


async def test_a_registration_is_told_as_the_contract_says(world: World) -> None:
    host = await world.register(metadata={"a": 1})
    (told,) = await world.told()
    fact = HostFact.model_validate(told)
    assert (fact.host, fact.host_id, fact.occurred_at) == (host, "host-1", world.clock.now())
    assert fact.event_id == told["id"]


async def test_a_change_touches_what_is_set_and_nothing_else(world: World) -> None:
    await world.register(cpu_cores=8, region="eu", metadata={"a": 1}, port=7777)
    host = await change(world, region="us", port=None, max_players=10)
    assert (host.cpu_cores, host.region, host.metadata, host.port, host.max_players) == (8, "us", {"a": 1}, None, 10)
    assert await world.told_subjects() == ["host-1.registered", "host-1.changed"]


async def test_a_change_of_the_machine_changes_the_score(world: World) -> None:
    await world.register(cpu_cores=1)
    assert (await change(world, cpu_cores=8)).quality_score == 60.0


@pytest.mark.parametrize("status", [HostStatus.BUSY, HostStatus.MAINTENANCE])
async def test_a_host_that_is_set_aside_is_not_available_until_it_is_set_online(
    world: World, status: HostStatus
) -> None:
    await world.register()
    assert (await change(world, status=status)).status is status
    assert (await world.page(available=True)).items == ()
    assert (await change(world, status=HostStatus.ONLINE)).status is HostStatus.ONLINE
    assert len((await world.page(available=True)).items) == 1
    assert (await world.told_subjects())[1:] == ["host-1.changed", "host-1.changed", "host-1.online"]


@pytest.mark.parametrize("status", [HostStatus.SUSPECT, HostStatus.OFFLINE, HostStatus.DRAINING])
async def test_the_registrys_own_verdicts_cannot_be_set(world: World, status: HostStatus) -> None:
    await world.register()
    with pytest.raises(NotForSettingError):
        await change(world, status=status)


async def test_a_silent_host_cannot_be_declared_online(world: World) -> None:
    await world.register()
    await world.wait(timedelta(seconds=20))
    with pytest.raises(NotHeardFromError):
        await change(world, status=HostStatus.ONLINE, region="eu")
    assert (await world.host()).region is None


async def test_a_host_that_was_set_aside_is_still_so_when_it_comes_back_from_silence(world: World) -> None:
    await world.register()
    await change(world, status=HostStatus.MAINTENANCE)
    await world.wait(timedelta(seconds=20))
    assert (await world.host()).status is HostStatus.SUSPECT
    assert (await world.beat()).status is HostStatus.MAINTENANCE
    assert (await world.told_subjects())[-2:] == ["host-1.suspect", "host-1.changed"]


async def test_draining_is_told_once(world: World) -> None:
    await world.register()
    for _ in range(2):
        host = Host.model_validate_json(await world.drain("host-1"))
        assert host.status is HostStatus.DRAINING
    assert await world.told_subjects() == ["host-1.registered", "host-1.draining"]


async def test_a_draining_host_stays_so_whatever_it_beats(world: World) -> None:
    await world.register()
    await world.drain("host-1")
    assert (await world.beat(latency_ms=10.0)).status is HostStatus.DRAINING


async def test_a_draining_host_that_registers_again_is_online(world: World) -> None:
    await world.register()
    await world.drain("host-1")
    assert (await world.register()).status is HostStatus.ONLINE
    assert (await world.told_subjects())[2:] == ["host-1.registered", "host-1.online"]


async def test_a_deleted_host_is_gone_and_said_to_be(world: World) -> None:
    await world.register()
    await world.reserve("session-1")
    await world.delete("host-1")
    with pytest.raises(HostNotFoundError):
        await world.host()
    last = (await world.told())[-1]
    assert (last["subject"], last["host"]["status"]) == ("p2p.events.hosts.host-1.deleted", "offline")


async def test_a_host_that_comes_back_after_its_deletion_goes_on_in_revisions(world: World) -> None:
    first = await world.register()
    await world.delete("host-1")
    assert (await world.register()).id != first.id
    revisions = [fact["revision"] for fact in await world.told()]
    assert revisions == sorted(set(revisions))


async def test_what_a_session_tells_of_a_deleted_host_is_let_go(world: World) -> None:
    await world.tell_session(session_fact(host_id="nobody"))
    await world.register("nobody")
    assert await world.slots_taken("nobody") == 0


async def test_an_unknown_host_can_be_neither_changed_nor_drained_nor_deleted(world: World) -> None:
    with pytest.raises(HostNotFoundError):
        await change(world, "nobody", region="eu")
    with pytest.raises(HostNotFoundError):
        await world.drain("nobody")
    with pytest.raises(HostNotFoundError):
        await world.delete("nobody")


async def test_registering_deleting_and_draining_at_once_leave_one_state_that_facts_agree_with(world: World) -> None:
    async def leave() -> None:
        try:
            await world.delete("host-1")
        except HostNotFoundError:
            return

    async def drain() -> None:
        try:
            await world.drain("host-1")
        except HostNotFoundError:
            return

    await asyncio.gather(*(work() for _ in range(10) for work in (world.register, leave, drain)))
    last = max(await world.told(), key=lambda fact: fact["revision"])
    if last["subject"].endswith(".deleted"):
        assert (await world.page()).items == ()
    else:
        assert (await world.host()).status == last["host"]["status"]


async def test_a_store_that_finds_the_peer_taken_says_so(world: World) -> None:
    await world.register("host-1", peer_id="peer")
    assert await RegistrationStore(world.database).host_of_peer("peer") == "host-1"
