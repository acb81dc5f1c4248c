"""A gateway and a registry of the previous contract run beside the new: each is understood by the other, no call fails.

What "previous" means here, `previous.py` says. Both registries are of one queue group, so NATS gives either of them the
calls that come through either gateway; players of one session are on both gateways, so each hands on what the other
says.
"""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
import pytest_asyncio
from chassis.bus import Bus, connect_bus
from chassis.requests import call
from contracts.hosts import BEAT_HOST, LIST_HOSTS, REGISTER_HOST, RETELL_HOSTS
from contracts.retelling import Retell
from contracts.streams import DEAD_LETTERS, EVENTS
from embedded.catalogue import GATEWAY
from testkit.eventually import eventually
from testkit.patience import patient
from testkit.servers import TestServers

from services.signaling_gateway.tests.signaling.client import dial, joined, leaving
from tests.deployment.environments import Environment, environments, shared
from tests.deployment.fleet import Fleet, Member, running_fleet
from tests.deployment.previous import GROWN_BY, SERVICES, install_previous
from tests.deployment.traffic import flowing, talking

pytestmark = [pytest.mark.servers, pytest.mark.asyncio(loop_scope="module")]

REGISTRY = "host_registry"

ASKED = {REGISTER_HOST.subject, BEAT_HOST.subject}


@pytest.fixture(scope="module")
def previous(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Environment]:
    return environments(shared(tmp_path_factory, "previous", install_previous), SERVICES)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fleet(
    servers: TestServers,
    installed: Mapping[str, Environment],
    previous: Mapping[str, Environment],
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Fleet]:
    """One new of each, and then an old gateway and an old registry."""
    async with running_fleet(servers, installed, tmp_path_factory.mktemp("elsewhere")) as fleet:
        await fleet.start_each()
        await asyncio.gather(*(fleet.start(service, environment=previous[service]) for service in SERVICES))
        yield fleet


def fields(environment: Environment, module: str, message: str) -> set[str]:
    """Of a message, as programs of that environment know it."""
    said = f"import json; from contracts.{module} import {message}; print(json.dumps(list({message}.model_fields)))"
    command = [environment.command[0], "-c", said]
    return set(json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout))


@pytest.mark.parametrize("service", SERVICES)
async def test_the_old_lacks_just_the_fields_by_which_the_contract_has_grown(
    service: str, installed: Mapping[str, Environment], previous: Mapping[str, Environment]
) -> None:
    for module, messages in GROWN_BY.items():
        for message, grown_by in messages.items():
            new, old = fields(installed[service], module, message), fields(previous[service], module, message)
            assert new - old == set(grown_by), message


async def test_no_call_fails_through_either_gateway_with_either_registry_behind(fleet: Fleet) -> None:
    new, old = (member.http for member in both(fleet, GATEWAY))
    async with connect_bus(fleet.servers.nats.url, "test") as bus, flowing(fleet, "mixed") as traffic:
        for gateway in (new, old):
            traffic.turn_to(gateway)
            before = [await answered(bus, registry) for registry in both(fleet, REGISTRY)]
            await traffic.goes_on(20)
            after = [await answered(bus, registry) for registry in both(fleet, REGISTRY)]
            assert all(now > then for now, then in zip(after, before, strict=True)), "both had their share"
        # Signals go both ways, so each gateway hands the other its own, and takes the other's.
        async with talking(new, old, traffic.session) as pair:
            await eventually(lambda: pair.heard >= 20, of="signals between the two")
    assert (traffic.failed, traffic.moves) == ([], 0)
    await nothing_is_amiss(fleet)


async def test_a_host_is_told_as_the_registry_that_answers_knows_it(fleet: Fleet) -> None:
    grown_by = set(GROWN_BY["hosts"]["Host"])
    async with flowing(fleet, "told") as traffic:
        seen: set[frozenset[str]] = set()

        async def by_both() -> bool:
            host = await traffic.ask("GET", "/hosts/told")
            seen.add(frozenset(grown_by & host.keys()))
            return len(seen) == 2

        for gateway in fleet.gateways:
            traffic.turn_to(gateway)
            seen.clear()
            await eventually(by_both, of="answers of both")
            assert seen == {frozenset(), frozenset(grown_by)}
    assert traffic.failed == []


async def test_a_list_of_hosts_is_the_same_whether_its_registry_counts_them_or_not(fleet: Fleet) -> None:
    async with flowing(fleet, "listed") as traffic, connect_bus(fleet.servers.nats.url, "test") as bus:
        counted: set[bool] = set()

        async def by_both() -> bool:
            hosts: Any = await traffic.ask("GET", "/hosts?limit=500")
            assert "listed" in [host["host_id"] for host in hosts]
            page = await bus.request(LIST_HOSTS.subject, b"{}", timeout_s=patient(5))
            counted.add("count" in json.loads(page.data))
            return len(counted) == 2

        for gateway in fleet.gateways:
            traffic.turn_to(gateway)
            counted.clear()
            await eventually(by_both, of="lists of both")
    assert traffic.failed == []


async def test_what_is_asked_of_late_comes_to_the_new_one_alone(fleet: Fleet) -> None:
    async with flowing(fleet, "retold"), connect_bus(fleet.servers.nats.url, "test") as bus:
        for _ in range(20):
            assert (await call(bus, RETELL_HOSTS, Retell())).facts >= 1
        await nothing_is_amiss(fleet)


async def test_a_host_is_at_home_at_either_gateway_and_its_players_at_the_other(fleet: Fleet) -> None:
    new, old = (member.http for member in both(fleet, GATEWAY))
    async with flowing(fleet, "home") as traffic:
        for here, there in ((new, old), (old, new)):
            host, player = await dial(here, "home"), await joined(there, "guest", traffic.session)
            async with leaving(host, player):
                await host.hear_until("session-assigned")
                await player.say("offer", to="home", sdp="v=0")
                assert (await host.hear_until("offer"))["from"] == "guest"
                await host.say("answer", to="guest", session_id=traffic.session, sdp="v=0")
                assert (await player.hear_until("answer"))["from"] == "home"
    assert traffic.failed == []
    await nothing_is_amiss(fleet)


def both(fleet: Fleet, service: str) -> tuple[Member, Member]:
    """The new one and the old one."""
    new, old = (member for member in fleet.members if member.service == service)
    return new, old


async def answered(bus: Bus, member: Member) -> int:
    """How many hosts' words it has answered."""
    reply = await bus.request(f"$SRV.STATS.{member.service}.{member.name}", b"", timeout_s=patient(5))
    endpoints = json.loads(reply.data)["endpoints"]
    return sum(endpoint["num_requests"] for endpoint in endpoints if endpoint["subject"] in ASKED)


async def nothing_is_amiss(fleet: Fleet) -> None:
    """Every fact was heard by all who are to hear it, and none was put among the dead letters."""
    async with connect_bus(fleet.servers.nats.url, "test") as bus:
        streams = bus.client.jsm(timeout=patient(5))

        async def all_heard() -> bool:
            consumers = await streams.consumers_info(EVENTS.name)
            return all(consumer.num_pending == consumer.num_ack_pending == 0 for consumer in consumers)

        await eventually(all_heard, within=20, of="every fact heard")
        assert (await streams.stream_info(DEAD_LETTERS.name)).state.messages == 0
    assert fleet.complaints() == []
