"""Zones are told again page by page: each once, however many pages they fill."""

import json
from collections.abc import AsyncIterator
from importlib.resources import files

import pytest
from chassis.database import Database, open_database
from chassis.requests import Asked
from contracts.retelling import Retell
from testkit.clock import ManualClock
from zone_manager import catalogue
from zone_manager.catalogue import Catalogue
from zone_manager.store import ZoneStore

from services.zone_manager.tests.examples import put_zone


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[Database]:
    migrations = files("zone_manager") / "migrations"
    async with open_database(postgres_url, name="test", migrations=migrations) as database:
        yield database


@pytest.mark.parametrize(("zones", "pages"), [(0, [0]), (2, [2]), (3, [3, 0]), (7, [3, 3, 1])])
async def test_every_zone_is_told_once_whatever_the_pages(
    database: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, zones: int, pages: list[int]
):
    monkeypatch.setattr(catalogue, "AT_ONCE", 3)
    all_of_them = Catalogue(database, ZoneStore(database), clock)
    names = [f"zone-{number}" for number in range(zones)]
    for name in names:
        await all_of_them.put(put_zone(name), Asked("p2p.zones.put"))
    await database.execute("test", "DELETE FROM outbox")

    facts, after = [], 0
    while True:
        page = await all_of_them.retell(Retell(after=after))
        facts.append(page.facts)
        if page.after is None:
            break
        after = page.after

    assert facts == pages
    told = [json.loads(row["payload"]) for row in await database.fetch("test", "SELECT payload FROM outbox")]
    assert sorted(fact["zone"]["zone_id"] for fact in told) == names
    assert {fact["zone"]["zone_id"]: fact["revision"] for fact in told} == dict.fromkeys(names, 1)
