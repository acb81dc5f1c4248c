"""Hosts are told again page by page: each once, however many pages they fill."""

import pytest
from contracts.retelling import Retell
from host_registry.store import retelling
from host_registry.store.retelling import RetellingStore

from services.host_registry.tests.world import World


@pytest.mark.parametrize(("hosts", "pages"), [(0, [0]), (2, [2]), (3, [3, 0]), (7, [3, 3, 1])])
async def test_every_host_is_told_once_whatever_the_pages(
    world: World, monkeypatch: pytest.MonkeyPatch, hosts: int, pages: list[int]
):
    monkeypatch.setattr(retelling, "AT_ONCE", 3)
    names = [f"host-{number}" for number in range(hosts)]
    for name in names:
        await world.register(name)
    revisions = {fact["host_id"]: fact["revision"] for fact in await world.told()}
    await world.database.execute("test", "DELETE FROM outbox")

    facts, after = [], 0
    while True:
        page = await RetellingStore(world.database).retell(Retell(after=after))
        facts.append(page.facts)
        if page.after is None:
            break
        after = page.after

    assert facts == pages
    told = await world.told()
    assert sorted(fact["host_id"] for fact in told) == names
    assert {fact["host_id"]: fact["revision"] for fact in told} == revisions


async def test_a_host_that_went_between_two_pages_is_not_told_and_the_others_are(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(retelling, "AT_ONCE", 2)
    for name in ("host-1", "host-2", "host-3"):
        await world.register(name)
    first = await RetellingStore(world.database).retell(Retell())
    await world.delete("host-2")
    await world.database.execute("test", "DELETE FROM outbox")
    assert first.after is not None

    last = await RetellingStore(world.database).retell(Retell(after=first.after))

    assert (last.facts, last.after) == (1, None)
    assert [fact["host_id"] for fact in await world.told()] == ["host-3"]
