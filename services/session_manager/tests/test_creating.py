import asyncio

import pytest
from chassis.idempotency import IdempotencyKeyReusedError
from chassis.refusals import InvalidError, RefusedError
from chassis.requests import Asked, Caller
from contracts.refusals import Code
from contracts.sessions import CREATE_SESSION, CreateSession, Session, SessionStatus
from session_manager.errors import HostFullError

from services.session_manager.tests.world import assert_sound


def under_key(key, caller="alice"):
    return Asked(CREATE_SESSION.subject, Caller("player", caller), key)


async def test_a_session_without_players_waits_for_them(world, clock):
    session = await world.create(host_id="host-12345", max_players=50)

    assert session.status is SessionStatus.PENDING
    assert (session.host_id, session.host_peer_id, session.zone_id) == ("host-12345", "peer-of-host-12345", "prontera")
    assert (session.max_players, session.current_players, session.connected_players) == (50, 0, ())
    assert (session.epoch, session.started_at, session.created_at) == (1, None, clock.now())
    assert session == await world.get(session.session_id) == await world.get(str(session.id))


async def test_a_session_with_players_starts_active(world, clock):
    session = await world.create(player_ids=["b", "a"])

    assert session.status is SessionStatus.ACTIVE
    assert session.connected_players == ("b", "a")
    assert session.started_at == clock.now()
    await assert_sound(world.database)


async def test_its_one_fact_names_the_players_it_began_with(world):
    session = await world.create(player_ids=["b", "a"])

    [(event, fact)] = await world.told()
    assert event == "created"
    assert fact.session == session
    assert (fact.revision, fact.players_joined, fact.players_left) == (1, ("b", "a"), ())
    assert (fact.host_players, fact.host_revision) == (2, 1)


async def test_players_who_sit_elsewhere_move(world):
    first = await world.create(player_ids=["a", "b"])
    await world.create(player_ids=["c"])
    await world.forget_told()

    session = await world.create(player_ids=["a", "x", "c"])

    assert session.connected_players == ("a", "x", "c")
    assert (await world.get(first.session_id)).connected_players == ("b",)
    told = await world.told()
    assert [(event, fact.players_left or fact.players_joined) for event, fact in told] == [
        ("left", ("a",)),
        ("left", ("c",)),
        ("created", ("a", "x", "c")),
    ]
    assert [fact.host_players for _, fact in told] == [2, 1, 4]


async def test_the_host_has_to_have_room_for_them(world, zones):
    zones.host_max_players = 3
    await world.create(player_ids=["a", "b"])

    with pytest.raises(HostFullError):
        await world.create(player_ids=["c", "d"])

    await assert_sound(world.database)
    assert len(await world.database.fetch("all", "SELECT FROM sessions")) == 1


async def test_moving_from_the_same_host_takes_no_more_of_its_room(world, zones):
    zones.host_max_players = 2
    await world.create(player_ids=["a", "b"])

    session = await world.create(player_ids=["b", "a"])

    assert session.current_players == 2
    await assert_sound(world.database)


async def test_bounds_that_the_zone_does_not_allow_are_refused_before_a_host_is_asked(world, zones):
    zones.zone_max_players = 10

    with pytest.raises(InvalidError):
        await world.create(max_players=11)

    assert not zones.places


async def test_a_refused_placement_is_passed_on(world):
    with pytest.raises(RefusedError) as refused:
        await world.create(zone="nowhere")
    assert refused.value.refusal.code is Code.ZONE_NOT_FOUND


async def test_a_key_gives_the_same_session_again(world):
    question = CreateSession(zone_id="prontera", player_ids=("a",))

    first = await world.lifecycle.create(question, under_key("k"))
    again = await world.lifecycle.create(question, under_key("k"))
    another = await world.lifecycle.create(question, under_key("k", caller="bob"))

    assert first == again
    assert Session.model_validate_json(another).session_id != Session.model_validate_json(first).session_id


async def test_a_key_is_not_used_for_another_question(world):
    await world.lifecycle.create(CreateSession(zone_id="prontera"), under_key("k"))

    with pytest.raises(IdempotencyKeyReusedError):
        await world.lifecycle.create(CreateSession(zone_id="geffen"), under_key("k"))


async def test_a_key_whose_first_use_was_refused_may_be_used_again(world, zones):
    question = CreateSession(zone_id="prontera")
    zones.refusal = Code.NO_HOST_FREE
    with pytest.raises(RefusedError):
        await world.lifecycle.create(question, under_key("k"))
    zones.refusal = None

    assert Session.model_validate_json(await world.lifecycle.create(question, under_key("k"))).zone_id == "prontera"


async def test_simultaneous_creates_under_one_key_make_one_session(world):
    question = CreateSession(zone_id="prontera", player_ids=("a",))

    answers = await asyncio.gather(*(world.lifecycle.create(question, under_key("k")) for _ in range(10)))

    assert len(set(answers)) == 1
    assert len(await world.database.fetch("all", "SELECT FROM sessions")) == 1
    await assert_sound(world.database)
