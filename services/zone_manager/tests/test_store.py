"""Zones and their figures in PostgreSQL."""

import random
from asyncio import gather
from collections.abc import AsyncIterator
from datetime import timedelta
from importlib.resources import files
from typing import Any

import pytest
from chassis.database import Database, open_database
from contracts.zones import Zone, ZoneCounts, ZoneStatus
from zone_manager.errors import ZoneNotFoundError
from zone_manager.pages import Position
from zone_manager.store import Kept, ZoneStore
from zone_manager.tallies import TallyStore
from zone_manager.tallying import Counted, counted
from zone_manager.zones import definition

from services.zone_manager.tests.examples import NOON, put_zone, session_fact

LATER = NOON + timedelta(minutes=1)


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[Database]:
    migrations = files("zone_manager") / "migrations"
    async with open_database(postgres_url, name="test", migrations=migrations) as database:
        yield database


@pytest.fixture
def zones(database: Database) -> ZoneStore:
    return ZoneStore(database)


@pytest.fixture
def tallies(database: Database) -> TallyStore:
    return TallyStore(database)


async def put(database: Database, zone_id: str = "prontera", now=NOON, **fields: object) -> Kept:
    return await database.transact(
        lambda transaction: ZoneStore(database).put(transaction, zone_id, definition(put_zone(zone_id, **fields)), now)
    )


async def change(database: Database, zone_id: str, **fields: object) -> Kept:
    return await database.transact(lambda transaction: ZoneStore(database).change(transaction, zone_id, fields, LATER))


async def test_a_new_zone_is_stored_whole_enabled_and_without_figures(database: Database, zones: ZoneStore):
    asked = put_zone(
        description="The capital 🏰",
        regions=("eu", "us"),
        checkpoint_interval_s=30,
        npc_feed_interval_s=0.5,
        standby=True,
        relay_only=True,
    )
    kept = await put(database, **asked.model_dump(exclude={"zone_id"}))
    assert kept == Kept(await zones.get("prontera"), revision=1, changed=True)
    expected = asked.model_dump() | {
        "status": ZoneStatus.ENABLED,
        "total_sessions": 0,
        "active_sessions": 0,
        "total_players_served": 0,
        "created_at": NOON,
        "updated_at": NOON,
    }
    assert kept.zone.model_dump(exclude={"id"}) == expected


async def test_a_zone_put_again_is_renewed_and_keeps_its_status_and_id(database: Database):
    first = await put(database, max_players=10, description="old")
    await change(database, "prontera", status="maintenance")
    again = await put(database, max_players=20, now=LATER)
    assert (again.zone.id, again.zone.status) == (first.zone.id, ZoneStatus.MAINTENANCE)
    assert (again.zone.max_players, again.zone.description) == (20, None)
    assert (again.zone.created_at, again.zone.updated_at) == (NOON, LATER)
    assert again.revision == 3


async def test_a_zone_put_again_as_it_is_stays_as_it_is(database: Database):
    first = await put(database)
    assert await put(database, now=LATER) == Kept(first.zone, revision=1, changed=False)


async def test_a_change_leaves_other_fields_alone_and_null_clears(database: Database):
    await put(database, description="old", fallback_endpoint="game:5121", max_players=10)
    changed = (await change(database, "prontera", description=None, regions=["eu"], npc_feed_interval_s=2.5)).zone
    assert (changed.description, changed.regions, changed.npc_feed_interval_s) == (None, ("eu",), 2.5)
    assert (changed.fallback_endpoint, changed.max_players) == ("game:5121", 10)


async def test_a_change_to_what_is_already_so_changes_nothing(database: Database):
    first = await put(database, max_players=10)
    assert await change(database, "prontera", max_players=10) == Kept(first.zone, revision=1, changed=False)


async def test_a_zone_that_is_not_there_is_neither_read_nor_changed(database: Database, zones: ZoneStore):
    with pytest.raises(ZoneNotFoundError):
        await zones.get("atlantis")
    with pytest.raises(ZoneNotFoundError):
        await change(database, "atlantis", max_players=1)


async def test_simultaneous_puts_of_one_zone_are_one_zone_and_lose_no_revision(database: Database, zones: ZoneStore):
    kept = await gather(*(put(database, max_players=number) for number in range(1, 41)))
    assert len({written.zone.id for written in kept}) == 1
    assert sorted(written.revision for written in kept) == list(range(1, 41))
    assert (await zones.count()).total == 1


async def listed(zones: ZoneStore, **filters: Any) -> list[str]:
    asked: dict[str, Any] = {"status": None, "p2p_enabled": None, "after": None, "limit": 100} | filters
    return [zone.zone_id for zone in await zones.list(**asked)]


async def test_zones_are_listed_by_priority_then_name(database: Database, zones: ZoneStore):
    for zone_id, priority in (("b", 1), ("a", 1), ("c", 10), ("d", 5)):
        await put(database, zone_id, p2p_priority=priority)
    assert await listed(zones) == ["c", "d", "a", "b"]
    assert await listed(zones, limit=2) == ["c", "d"]
    assert await listed(zones, after=Position(1, "a", 0)) == ["a", "b"]


async def test_pages_add_up_to_the_list_even_where_names_are_equal(database: Database, zones: ZoneStore):
    for number in range(7):
        await put(database, f"zone-{number}", zone_name="same")
    paged: list[str] = []
    after = None
    while page := await zones.list(status=None, p2p_enabled=None, after=after, limit=3):
        paged += [zone.zone_id for zone in page]
        after = Position(page[-1].p2p_priority, page[-1].zone_name, page[-1].id)
    assert paged == await listed(zones)


async def test_zones_are_listed_by_status_and_by_who_serves_them(database: Database, zones: ZoneStore):
    await put(database, "open")
    await put(database, "central", p2p_enabled=False)
    await put(database, "closed")
    await change(database, "closed", status="disabled")
    assert await listed(zones, status=ZoneStatus.ENABLED) == ["central", "open"]
    assert await listed(zones, p2p_enabled=True) == ["closed", "open"]
    assert await listed(zones, status=ZoneStatus.ENABLED, p2p_enabled=True) == ["open"]


async def test_a_zone_in_maintenance_is_counted_as_disabled(database: Database, zones: ZoneStore):
    for zone_id in ("a", "b", "c"):
        await put(database, zone_id)
    await change(database, "a", status="maintenance")
    assert await zones.count() == ZoneCounts(total=3, enabled=2, disabled=1)


async def test_only_the_first_start_seeds(database: Database, zones: ZoneStore):
    began = await gather(
        *(database.transact(lambda transaction: zones.begin_seeding(transaction, NOON)) for _ in range(3))
    )
    assert sorted(began) == [False, False, True]


A_SESSION = [
    counted("created", session_fact(1, joined=("a", "b"))),
    counted("activated", session_fact(2)),
    counted("joined", session_fact(3, joined=("c",))),
    counted("left", session_fact(4, left=("a",))),
    counted("joined", session_fact(5, joined=("a",))),
    counted("ended", session_fact(6, left=("a", "b", "c"))),
]


async def figures(zones: ZoneStore) -> tuple[int, int, int]:
    zone: Zone = await zones.get("prontera")
    return zone.total_sessions, zone.active_sessions, zone.total_players_served


async def test_figures_follow_a_session(database: Database, zones: ZoneStore, tallies: TallyStore):
    await put(database)
    after = []
    for fact in A_SESSION:
        await tallies.add([fact])
        after.append(await figures(zones))
    assert after == [(1, 1, 2), (1, 1, 2), (1, 1, 3), (1, 1, 3), (1, 1, 4), (1, 0, 4)]


@pytest.mark.parametrize("seed", range(5))
async def test_facts_count_once_in_whatever_order_and_however_often_they_come(
    database: Database, zones: ZoneStore, tallies: TallyStore, seed: int
):
    await put(database)
    facts = A_SESSION * 3
    random.Random(seed).shuffle(facts)
    batches = [facts[start : start + 4] for start in range(0, len(facts), 4)]
    await gather(*(tallies.add(batch) for batch in batches))
    assert await figures(zones) == (1, 0, 4)


async def test_facts_of_many_sessions_at_once_add_up(database: Database, zones: ZoneStore, tallies: TallyStore):
    await put(database)
    batches = [
        [counted("created", session_fact(1, session_id=f"session-{number:016x}", joined=("a",))) for number in batch]
        for batch in (range(60), range(30, 90), range(90))
    ]
    await gather(*(tallies.add(batch) for batch in batches))
    assert await figures(zones) == (90, 90, 90)


async def test_what_is_only_known_of_an_end_never_makes_the_active_ones_negative(
    database: Database, zones: ZoneStore, tallies: TallyStore
):
    await put(database)
    await tallies.add([counted("failed", session_fact(9))])
    assert await figures(zones) == (0, 0, 0)


async def test_figures_of_a_zone_that_is_made_later_are_not_lost(
    database: Database, zones: ZoneStore, tallies: TallyStore
):
    await tallies.add([A_SESSION[0]])
    await put(database)
    assert await figures(zones) == (1, 1, 2)


async def test_only_sessions_long_over_are_forgotten(database: Database, tallies: TallyStore):
    running: Counted = counted("created", session_fact(1, session_id="session-00000000000000aa"))
    await tallies.add([*A_SESSION, running])
    await tallies.forget_sessions_over_since(timedelta(days=8))
    assert await known_sessions(database) == {"session-0000000000000001", "session-00000000000000aa"}
    await tallies.forget_sessions_over_since(timedelta(0))
    assert await known_sessions(database) == {"session-00000000000000aa"}


async def known_sessions(database: Database) -> set[str]:
    rows = await database.fetch("test.counted", "SELECT session_id FROM counted_sessions")
    return {row["session_id"] for row in rows}
