"""Hosts listed, found and counted."""

import asyncio
import random
from collections import Counter
from typing import Any

import pytest
from contracts.hosts import ChangeHost, Host, HostStatus, QualityDistribution, Rejection
from host_registry.eligibility import Bounds, reasons_against
from host_registry.errors import HostNotFoundError

from services.host_registry.tests.world import SECOND, World, session_fact

REGIONS = (None, "eu", "us")


async def populate(world: World, count: int) -> None:
    """Hosts of every kind, the same every time."""
    chance = random.Random(7)
    for number in range(count):
        name = f"host-{number}"
        await world.register(
            name,
            cpu_cores=chance.choice([None, 1, 2, 8]),
            network_speed_mbps=chance.choice([None, 50, 100, 1000]),
            region=chance.choice(REGIONS),
            max_players=10,
            max_zones=1,
        )
        if chance.random() < 0.7:
            await world.beat(name, latency_ms=float(chance.randrange(200)), current_players=chance.randrange(12))
        if chance.random() < 0.2:
            await world.tell_session(session_fact(f"s{number}", host_id=name, players=chance.choice([3, 10])))
        if chance.random() < 0.1:
            await world.drain(name)
        if chance.random() < 0.1:
            await world.registration.change(ChangeHost(host_id=name, status=HostStatus.BUSY))


def order(hosts: list[Host]) -> list[tuple[float, int]]:
    return [(-host.quality_score, host.id) for host in hosts]


async def all_pages(world: World, **question: Any) -> list[Host]:
    page = await world.page(**question)
    hosts = list(page.items)
    while page.next_cursor is not None:
        page = await world.page(**question, cursor=page.next_cursor)
        hosts += page.items
    return hosts


async def test_a_list_is_best_score_first_and_its_pages_give_each_host_once(world: World) -> None:
    await populate(world, 60)
    hosts = await all_pages(world, limit=7)
    assert len(hosts) == 60
    assert order(hosts) == sorted(order(hosts))


async def test_a_page_says_how_many_it_holds(world: World) -> None:
    await populate(world, 7)
    assert [(await world.page(limit=limit)).count for limit in (3, 7, 1000)] == [3, 7, 7]


async def test_a_page_that_holds_the_rest_has_no_next(world: World) -> None:
    await populate(world, 5)
    assert (await world.page(limit=5)).next_cursor is None
    assert (await world.page(limit=4)).next_cursor is not None


@pytest.mark.parametrize("status", [HostStatus.ONLINE, HostStatus.DRAINING, HostStatus.BUSY, HostStatus.OFFLINE])
async def test_a_list_of_one_status_has_those_hosts_and_no_other(world: World, status: HostStatus) -> None:
    await populate(world, 60)
    everybody = await all_pages(world)
    assert await all_pages(world, status=status, limit=5) == [host for host in everybody if host.status is status]


async def test_a_list_can_be_bounded_by_score_and_region(world: World) -> None:
    await populate(world, 60)
    wanted = [host for host in await all_pages(world) if host.quality_score >= 60 and host.region == "eu"]
    assert wanted
    assert await all_pages(world, min_quality_score=60, region="eu", limit=3) == wanted


async def test_available_hosts_are_online_with_a_seat_and_a_slot_free(world: World) -> None:
    await populate(world, 60)
    able = {candidate.host.host_id for candidate in (await world.find(limit=100)).candidates}
    assert {host.host_id for host in await all_pages(world, available=True)} == able
    assert await all_pages(world, available=True, status=HostStatus.OFFLINE) == []


async def test_a_page_never_exceeds_what_one_reply_may_hold(world: World) -> None:
    for number in range(60):
        await world.register(f"host-{number}", metadata={"x": "y" * 16_000})
    page = await world.page(limit=1000)
    assert len(page.items) < 60
    assert len(page.model_dump_json()) < 512 * 1024
    assert len(await all_pages(world, limit=1000)) == 60
    assert len((await world.find(limit=100)).model_dump_json()) < 512 * 1024


async def test_found_hosts_are_able_and_the_most_certain_good_ones_come_first(world: World) -> None:
    await populate(world, 60)
    found = (await world.find(min_quality_score=40, min_bandwidth_mbps=100, max_latency_ms=150)).candidates
    merits = [candidate.host.quality_score * candidate.host.confidence for candidate in found]
    assert merits == sorted(merits, reverse=True)
    assert {candidate.rejections for candidate in found} == {()}


async def test_the_few_that_are_found_are_hosts_with_a_socket_where_there_are_such(world: World) -> None:
    await populate(world, 60)
    able = [candidate.host.host_id for candidate in (await world.find(limit=100)).candidates]
    for name in able[-2:]:
        await world.connect(f"01-{name}", name)
    assert [candidate.host.host_id for candidate in (await world.find(limit=3)).candidates] == [*able[-2:], able[0]]


async def test_the_parts_of_a_score_add_up_to_it(world: World) -> None:
    await populate(world, 30)
    for candidate in (await world.find(rejected=True, limit=100)).candidates:
        assert round(sum(candidate.score_parts.values()), 2) == candidate.host.quality_score


@pytest.mark.parametrize(
    "bounds",
    [
        {},
        {"seats": 4},
        {"min_quality_score": 70},
        {"min_bandwidth_mbps": 100},
        {"min_bandwidth_mbps": 99.5},
        {"min_bandwidth_mbps": 1e300, "max_latency_ms": 1e300},
        {"max_latency_ms": 60},
        {"regions": ("eu",)},
        {"exclude": ("host-3", "host-4")},
        {"seats": 2, "min_quality_score": 55, "min_bandwidth_mbps": 60, "max_latency_ms": 120, "regions": ("eu", "us")},
    ],
)
async def test_the_database_finds_and_counts_as_the_rule_judges(world: World, bounds: dict[str, Any]) -> None:
    await populate(world, 80)
    everybody = (await world.find(**bounds, rejected=True, limit=100)).candidates
    assert len(everybody) == 80
    able = [candidate.host.host_id for candidate in everybody if not candidate.rejections]
    found = await world.find(**bounds, limit=100)
    assert sorted(candidate.host.host_id for candidate in found.candidates) == sorted(able)
    few = await world.find(**bounds, rejected=True, limit=1)
    listed = {candidate.host.host_id for candidate in few.candidates}
    unlisted = [candidate for candidate in everybody if candidate.host.host_id not in listed]
    assert few.rejected_counts == Counter(code for candidate in unlisted for code in candidate.rejections)


async def test_rejected_hosts_come_behind_able_ones_up_to_the_limit(world: World) -> None:
    await populate(world, 40)
    found = (await world.find(rejected=True, limit=30)).candidates
    rejected = [bool(candidate.rejections) for candidate in found]
    assert len(found) == 30
    assert rejected == sorted(rejected)


async def test_one_host_can_be_judged_alone(world: World) -> None:
    await world.register(region="eu")
    found = await world.find(host_id="host-1", regions=("us",), exclude=("host-1",))
    (candidate,) = found.candidates
    assert candidate.rejections == (Rejection.REGION_NOT_ALLOWED, Rejection.EXCLUDED)
    with pytest.raises(HostNotFoundError):
        await world.find(host_id="nobody")


async def test_a_beat_that_is_stale_is_a_reason_before_the_host_is_judged_suspect(world: World) -> None:
    await world.register()
    await world.register("host-2")
    for _ in range(4):
        world.clock.advance(5 * SECOND)
        world.own_absence.check()
    await world.beat("host-2")
    assert (await world.find(host_id="host-1")).candidates[0].rejections == (Rejection.BEAT_STALE,)
    assert [candidate.host.host_id for candidate in (await world.find()).candidates] == ["host-2"]
    assert [host.host_id for host in (await world.page(available=True)).items] == ["host-2"]


async def test_the_rule_has_the_last_word_on_what_the_database_found(world: World) -> None:
    await world.register()
    candidate = await world.reader.one("host-1")
    assert reasons_against(candidate.contender, Bounds()) == ()


async def test_counts_stay_true_through_everything_that_happens_to_hosts(world: World) -> None:
    await populate(world, 60)
    await world.wait(20 * SECOND)
    await asyncio.gather(*(world.beat(f"host-{number}", latency_ms=5.0) for number in range(0, 60, 2)))
    await world.delete("host-4")
    await world.wait(25 * SECOND)
    hosts = await all_pages(world)
    online = [host for host in hosts if host.status is HostStatus.ONLINE]
    counts = await world.reader.count()
    assert (counts.total, counts.online) == (59, len(online))
    assert counts.offline == sum(host.status is HostStatus.OFFLINE for host in hosts)
    scores = [host.quality_score for host in online]
    assert counts.average_quality_score == (round(sum(scores) / len(scores), 2) if scores else 0.0)


async def test_quality_is_distributed_by_score(world: World) -> None:
    for name, fields in {
        "excellent": {"cpu_cores": 8, "memory_mb": 16384, "network_speed_mbps": 1000},
        "good": {"cpu_cores": 8},
        "fair": {},
        "poor": {},
    }.items():
        await world.register(name, **fields)
    await world.beat("excellent", latency_ms=0.0, packet_loss_percent=0.0)
    await world.beat("good", latency_ms=0.0, packet_loss_percent=0.0)
    await world.beat("poor", latency_ms=300.0)
    counts = await world.reader.count()
    assert counts.quality_distribution == QualityDistribution(excellent=1, good=1, fair=1, poor=1)


async def test_nobody_registered_is_a_count_of_nothing(world: World) -> None:
    counts = await world.reader.count()
    assert (counts.total, counts.online, counts.average_quality_score) == (0, 0, 0.0)
