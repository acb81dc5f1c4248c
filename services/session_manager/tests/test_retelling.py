"""Sessions are told again page by page: how each began and how it is, once, however many pages they fill."""

import json

import pytest
from contracts.retelling import Retell
from session_manager.store import retelling
from session_manager.store.retelling import RetellingStore


@pytest.mark.parametrize(("sessions", "pages"), [(0, [0]), (2, [4]), (3, [6, 0]), (7, [6, 6, 2])])
async def test_every_session_is_told_once_whatever_the_pages(world, database, monkeypatch, sessions, pages):
    monkeypatch.setattr(retelling, "AT_ONCE", 3)
    names = []
    for number in range(sessions):
        made = await world.create()
        await world.join(made.session_id, f"player-{number}")
        names.append(made.session_id)
    revisions = {row["session_id"]: row["revision"] for row in await _sessions(database)}
    await database.execute("test", "DELETE FROM outbox")

    facts, after = [], 0
    while True:
        page = await RetellingStore(database).retell(Retell(after=after))
        facts.append(page.facts)
        if page.after is None:
            break
        after = page.after

    assert facts == pages
    told = [json.loads(row["payload"]) for row in await database.fetch("test", "SELECT payload FROM outbox")]
    again = [(fact["session_id"], fact["revision"]) for fact in told]
    assert sorted(again) == sorted((name, revision) for name in names for revision in (1, revisions[name]))


async def _sessions(database):
    return await database.fetch("test", "SELECT session_id, revision FROM sessions")
