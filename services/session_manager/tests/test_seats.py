import pytest
from contracts.retelling import Retell
from contracts.sessions import SessionStatus
from session_manager.errors import HostFullError, PlayerNotFoundError, SessionFullError, SessionNotFoundError
from session_manager.store.retelling import RetellingStore

from services.session_manager.tests.world import assert_sound


async def test_the_first_join_activates_and_says_both(world, clock):
    created = await world.create()
    await world.forget_told()

    session = await world.join(created.session_id, "a")

    assert (session.status, session.connected_players, session.started_at) == (
        SessionStatus.ACTIVE,
        ("a",),
        clock.now(),
    )
    told = await world.told()
    assert [(event, fact.revision, fact.players_joined) for event, fact in told] == [
        ("activated", 2, ()),
        ("joined", 3, ("a",)),
    ]
    assert {fact.host_players for _, fact in told} == {1}


async def test_facts_say_whether_a_socket_took_the_seat_told_again_too(world):
    session = await world.create()
    await world.join(session.session_id, "by-rest")
    await world.leave(session.session_id, "by-rest")
    await world.join(session.session_id, "by-socket", socket=True)
    entered = await world.enter("first", zone="geffen", socket=True)

    said = [(event, fact.players_joined, fact.by_socket) for event, fact in await world.told()]
    assert said == [
        ("created", (), False),
        ("activated", (), False),
        ("joined", ("by-rest",), False),
        ("left", (), False),
        ("joined", ("by-socket",), True),
        ("created", ("first",), True),
    ]

    await world.forget_told()
    await RetellingStore(world.database).retell(Retell())
    again = [(event, fact.by_socket) for event, fact in await world.told_of(entered.session_id)]
    assert again == [("created", True)]


async def test_players_are_listed_in_the_order_of_joining(world):
    session = await world.create()
    for player in ("c", "a", "b"):
        session = await world.join(str(session.id), player)
    assert session.connected_players == ("c", "a", "b")


async def test_joining_twice_is_one_join(world):
    session = await world.create(player_ids=["a"])
    await world.forget_told()

    again = await world.join(session.session_id, "a")

    assert again == session
    assert await world.told() == []


async def test_joining_another_session_leaves_the_first(world):
    first = await world.create(player_ids=["a", "b"])
    second = await world.create(player_ids=["c"])
    await world.forget_told()

    session = await world.join(second.session_id, "a")

    assert session.connected_players == ("c", "a")
    assert (await world.get(first.session_id)).connected_players == ("b",)
    told = await world.told()
    assert [(event, fact.session_id, fact.reason, fact.host_players) for event, fact in told] == [
        ("left", first.session_id, "moved", 2),
        ("joined", second.session_id, None, 3),
    ]
    assert told[0][1].host_revision < told[1][1].host_revision


async def test_a_move_that_finds_no_room_changes_nothing(world):
    first = await world.create(player_ids=["a"])
    second = await world.create(player_ids=["b"], max_players=1)

    with pytest.raises(SessionFullError):
        await world.join(second.session_id, "a")

    assert (await world.get(first.session_id)).connected_players == ("a",)
    await assert_sound(world.database)


async def test_within_a_full_host_one_can_still_move(world, zones):
    zones.host_max_players = 2
    await world.create(player_ids=["a"])
    second = await world.create(player_ids=["b"], max_players=2)

    assert (await world.join(second.session_id, "a")).connected_players == ("b", "a")
    await assert_sound(world.database)


async def test_a_full_host_seats_nobody_more(world, zones):
    zones.host_max_players = 2
    await world.create(player_ids=["a"])
    second = await world.create(player_ids=["b"], max_players=2)

    with pytest.raises(HostFullError):
        await world.join(second.session_id, "c")


async def test_leaving_frees_the_seat_and_says_so(world):
    session = await world.create(player_ids=["a", "b"])
    await world.forget_told()

    left = await world.leave(session.session_id, "a")

    assert (left.connected_players, left.status) == (("b",), SessionStatus.ACTIVE)
    [(event, fact)] = await world.told()
    assert (event, fact.players_left, fact.host_players, fact.revision) == ("left", ("a",), 1, 2)


async def test_one_leaves_wherever_one_is(world):
    session = await world.create(player_ids=["a"])
    assert (await world.leave(None, "a")).session_id == session.session_id


async def test_leaving_twice_is_refused_the_second_time(world):
    session = await world.create(player_ids=["a"])
    await world.leave(session.session_id, "a")

    for where in (session.session_id, None):
        with pytest.raises(PlayerNotFoundError):
            await world.leave(where, "a")


async def test_a_session_that_is_not_there_can_neither_be_joined_nor_left(world):
    for session in ("session-00000000000000ff", "4711", "lobby"):
        with pytest.raises(SessionNotFoundError):
            await world.join(session, "a")
        with pytest.raises(SessionNotFoundError):
            await world.leave(session, "a")


async def test_awkward_names_are_only_names(world):
    names = ["it's", 'a"b', "{x,y}", "NULL", "ünï\U0001f600", "a b", "\\n", "%s"]
    session = await world.create(player_ids=names)
    for name in names[1:]:
        session = await world.leave(None, name)
    assert session.connected_players == ("it's",)
    await assert_sound(world.database)
