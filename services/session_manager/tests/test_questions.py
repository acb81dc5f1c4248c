import pytest
from chassis import pages
from chassis.refusals import InvalidError
from contracts.sessions import ListSessions, SessionHistory, SessionPage, SessionStatus
from session_manager.errors import SessionNotFoundError
from session_manager.sessions import read_ref


async def listed(world, **filters):
    page = SessionPage.model_validate_json(await world.questions.list_sessions(ListSessions(**filters)))
    return [session.session_id for session in page.items]


async def history(world, session, limit=100, cursor=None):
    return SessionHistory.model_validate_json(
        await world.questions.list_events(read_ref(session.session_id), limit, cursor)
    )


async def test_sessions_are_listed_newest_first_and_by_every_filter(world):
    pending = await world.create(host_id="host-1")
    active = await world.create(host_id="host-2", player_ids=["a"])
    ended = await world.create(zone="geffen", host_id="host-1")
    await world.end(ended.session_id)
    one, two, three = pending.session_id, active.session_id, ended.session_id

    assert await listed(world) == [three, two, one]
    assert await listed(world, status=SessionStatus.PENDING) == [one]
    assert await listed(world, status=SessionStatus.PAUSED) == []
    assert await listed(world, live=True) == [two, one]
    assert await listed(world, zone_id="prontera") == [two, one]
    assert await listed(world, host_id="host-1") == [three, one]
    assert await listed(world, host_id="host-1", live=True) == [one]
    assert await listed(world, player_id="a") == [two]
    assert await listed(world, player_id="nobody") == []
    assert await listed(world, zone_id="geffen", live=True) == []


async def test_pages_follow_one_another_to_the_end(world):
    made = [(await world.create()).session_id for _ in range(5)]
    cursor, seen = None, []
    for expected in (2, 2, 1):
        page = SessionPage.model_validate_json(
            await world.questions.list_sessions(ListSessions(limit=2, cursor=cursor))
        )
        assert len(page.items) == expected
        seen += [session.session_id for session in page.items]
        cursor = page.next_cursor
    assert cursor is None
    assert seen == made[::-1]


async def test_a_page_ends_where_one_more_session_would_not_fit_the_reply(world, monkeypatch):
    monkeypatch.setattr(pages, "PAGE_BYTES", 2000)
    made = [(await world.create()).session_id for _ in range(5)]

    page = SessionPage.model_validate_json(await world.questions.list_sessions(ListSessions()))
    rest = SessionPage.model_validate_json(
        await world.questions.list_sessions(ListSessions(cursor=page.next_cursor, limit=1))
    )

    assert [session.session_id for session in page.items + rest.items] == made[::-1][: len(page.items) + 1]
    assert 1 <= len(page.items) < 5


@pytest.mark.parametrize("cursor", ["x", "-1", "1.5", "9" * 30, ""])
async def test_a_cursor_that_nobody_gave_is_refused(world, cursor):
    with pytest.raises(InvalidError):
        await world.questions.list_sessions(ListSessions(cursor=cursor))


async def test_the_history_tells_everything_oldest_first(world, clock):
    session = await world.create()
    await world.join(session.session_id, "a")
    other = await world.create(player_ids=["b"])
    await world.join(other.session_id, "a")
    await world.end(session.session_id, "done")

    page = await history(world, session)

    assert [
        (line.event, line.revision, line.players_joined, line.players_left, line.reason) for line in page.items
    ] == [
        ("created", 1, (), (), None),
        ("activated", 2, (), (), None),
        ("joined", 3, ("a",), (), None),
        ("left", 4, (), ("a",), "moved"),
        ("ended", 5, (), (), "done"),
    ]
    assert {line.occurred_at for line in page.items} == {clock.now()}
    assert page.items[-1].status is SessionStatus.ENDED
    assert page.next_cursor is None


async def test_the_history_has_pages(world):
    session = await world.create()
    for player in ("a", "b", "c"):
        await world.join(session.session_id, player)

    first = await history(world, session, limit=2)
    second = await history(world, session, limit=10, cursor=first.next_cursor)

    assert [line.revision for line in first.items + second.items] == [1, 2, 3, 4, 5]


async def test_what_never_was_has_no_history(world):
    with pytest.raises(SessionNotFoundError):
        await world.questions.list_events(read_ref("4711"), 10, None)
