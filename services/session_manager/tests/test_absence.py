from datetime import timedelta

import pytest

from services.session_manager.tests.facts import a_presence, sessions_active
from services.session_manager.tests.world import GRACE, IDLE, SILENCE, assert_sound

SECOND = timedelta(seconds=1)


async def pass_time(world, clock, span, *gateways):
    """Let time pass with the loop running, and these gateways saying every second that they live."""
    for _ in range(int(span / SECOND)):
        clock.advance(SECOND)
        for gateway in gateways:
            await world.absence.active(sessions_active(gateway, at=clock.now()))
        await world.absence.give_up_seats()


@pytest.fixture
async def listening(world, clock):
    """A world that has been able to hear for longer than any deadline."""
    await pass_time(world, clock, GRACE + SILENCE + SECOND)
    return world


async def players(world, session):
    return (await world.get(session.session_id)).connected_players


async def test_a_seat_without_its_socket_is_given_up_after_the_grace(listening, clock):
    session = await listening.create(player_ids=["a"])
    await listening.join(session.session_id, "b", socket=True)
    await listening.absence.entered(a_presence("b", session.session_id, at=clock.now()))
    await pass_time(listening, clock, GRACE * 2, "gateway-1")
    assert await players(listening, session) == ("a", "b")

    await listening.absence.disconnected(a_presence("b", session.session_id, at=clock.now(), revision=2))
    await pass_time(listening, clock, GRACE - SECOND, "gateway-1")
    assert await players(listening, session) == ("a", "b")
    await listening.forget_told()
    await pass_time(listening, clock, SECOND, "gateway-1")

    assert await players(listening, session) == ("a",)
    assert [(event, fact.players_left, fact.reason) for event, fact in await listening.told()] == [
        ("left", ("b",), "absent")
    ]


async def test_a_socket_that_comes_back_in_time_keeps_its_seat(listening, clock):
    session = await listening.enter("a", socket=True)
    await listening.absence.entered(a_presence("a", session.session_id, at=clock.now()))
    await listening.absence.disconnected(a_presence("a", session.session_id, at=clock.now(), revision=2))
    await pass_time(listening, clock, GRACE - SECOND, "gateway-1")
    back = a_presence("a", session.session_id, at=clock.now(), revision=3, connection="connection-2")
    await listening.absence.entered(back)
    await pass_time(listening, clock, GRACE, "gateway-1")

    assert await players(listening, session) == ("a",)


async def test_a_seat_that_nobody_will_come_back_to_is_free_at_once(world, clock):
    session = await world.enter("a", socket=True)
    await world.absence.entered(a_presence("a", session.session_id, at=clock.now()))
    gone = a_presence("a", session.session_id, at=clock.now(), revision=2)
    await world.absence.disconnected(gone.model_copy(update={"keeps_seat": False}))
    await pass_time(world, clock, SECOND, "gateway-1")

    assert await players(world, session) == ()


async def test_it_is_free_at_once_though_its_opening_be_told_after_its_end(world, clock):
    session = await world.enter("a", socket=True)
    gone = a_presence("a", session.session_id, at=clock.now(), revision=2)
    await world.absence.disconnected(gone.model_copy(update={"keeps_seat": False}))
    await world.absence.entered(a_presence("a", session.session_id, at=clock.now()))
    await pass_time(world, clock, SECOND, "gateway-1")

    assert await players(world, session) == ()


async def test_a_socket_that_never_came_counts_as_gone_from_the_beginning(listening, clock):
    session = await listening.enter("a", socket=True)
    await pass_time(listening, clock, GRACE)
    assert await players(listening, session) == ()


async def test_a_seat_taken_over_rest_stays(listening, clock):
    session = await listening.enter("a")
    await listening.absence.entered(a_presence("a", session.session_id, at=clock.now()))
    await listening.absence.disconnected(a_presence("a", session.session_id, at=clock.now(), revision=2))
    await pass_time(listening, clock, GRACE + SILENCE + SECOND)
    assert await players(listening, session) == ("a",)


async def test_a_seat_taken_over_rest_as_well_stays(listening, clock):
    session = await listening.enter("a", socket=True)
    await listening.join(session.session_id, "a")
    await pass_time(listening, clock, GRACE)
    assert await players(listening, session) == ("a",)


async def test_joining_again_by_a_new_socket_begins_the_grace_anew(listening, clock):
    session = await listening.enter("a", socket=True)
    await pass_time(listening, clock, GRACE - SECOND)
    await listening.join(session.session_id, "a", socket=True)
    await pass_time(listening, clock, GRACE - SECOND)
    assert await players(listening, session) == ("a",)


async def test_the_end_of_an_older_socket_does_not_touch_the_newer(listening, clock):
    session = await listening.enter("a", socket=True)
    newer = a_presence("a", session.session_id, at=clock.now(), gateway="gateway-2", connection="connection-2")
    await listening.absence.entered(newer)
    await listening.absence.entered(a_presence("a", session.session_id, at=clock.now(), revision=8))
    await listening.absence.disconnected(a_presence("a", session.session_id, at=clock.now(), revision=9))
    await pass_time(listening, clock, GRACE, "gateway-2")
    assert await players(listening, session) == ("a",)


async def test_facts_that_arrive_in_the_wrong_order_end_in_the_newest(listening, clock):
    session = await listening.enter("a", socket=True)
    await listening.absence.disconnected(a_presence("a", session.session_id, at=clock.now(), revision=2))
    await listening.absence.entered(a_presence("a", session.session_id, at=clock.now(), revision=1))
    await pass_time(listening, clock, GRACE, "gateway-1")
    assert await players(listening, session) == ()


async def test_what_is_said_of_another_session_does_not_concern_the_seat(listening, clock):
    first = await listening.enter("a", socket=True)
    second = await listening.enter("a", zone="geffen", socket=True)
    await listening.absence.entered(a_presence("a", second.session_id, at=clock.now(), revision=2))
    await listening.absence.disconnected(a_presence("a", first.session_id, at=clock.now(), revision=3))
    await pass_time(listening, clock, GRACE, "gateway-1")
    assert await players(listening, second) == ("a",)


async def test_the_sockets_of_a_silent_gateway_count_as_closed(listening, clock):
    sessions = {}
    for player, gateway in (("a", "gateway-1"), ("b", "gateway-2")):
        sessions[player] = await listening.enter(player, zone=player, socket=True)
        seen = a_presence(player, sessions[player].session_id, at=clock.now(), gateway=gateway)
        await listening.absence.entered(seen)

    await pass_time(listening, clock, SILENCE + GRACE - SECOND, "gateway-2")
    assert await players(listening, sessions["a"]) == ("a",)
    await pass_time(listening, clock, SECOND, "gateway-2")

    assert await players(listening, sessions["a"]) == ()
    assert await players(listening, sessions["b"]) == ("b",)
    await assert_sound(listening.database)


async def test_a_gateway_that_speaks_again_in_time_keeps_its_sockets_seats(listening, clock):
    session = await listening.enter("a", socket=True)
    await listening.absence.entered(a_presence("a", session.session_id, at=clock.now()))
    await pass_time(listening, clock, SILENCE + GRACE - SECOND)
    await pass_time(listening, clock, SILENCE + GRACE, "gateway-1")
    assert await players(listening, session) == ("a",)


async def test_nobody_is_absent_while_we_could_not_hear(listening, clock):
    session = await listening.enter("a", socket=True)
    listening.hearing.clear()
    await pass_time(listening, clock, GRACE * 3)
    listening.hearing.set()
    await pass_time(listening, clock, GRACE - SECOND)
    assert await players(listening, session) == ("a",)

    await pass_time(listening, clock, SECOND * 2)
    assert await players(listening, session) == ()


async def test_when_all_gateways_fall_silent_at_once_nobody_is_absent(listening, clock):
    session = await listening.create(player_ids=["x"])
    for player, gateway in (("a", "gateway-1"), ("b", "gateway-2")):
        await listening.join(session.session_id, player, socket=True)
        seen = a_presence(player, session.session_id, at=clock.now(), gateway=gateway)
        await listening.absence.entered(seen)

    await pass_time(listening, clock, (SILENCE + GRACE) * 2)
    await pass_time(listening, clock, SILENCE, "gateway-1")
    assert await players(listening, session) == ("x", "a", "b")
    await pass_time(listening, clock, GRACE + SECOND, "gateway-1")

    assert await players(listening, session) == ("x", "a")


async def test_nobody_is_absent_while_we_stood_still(listening, clock):
    session = await listening.enter("a", socket=True)
    clock.advance(GRACE * 10)
    await listening.absence.give_up_seats()
    assert await players(listening, session) == ("a",)


async def test_nobody_is_absent_right_after_the_database_was_away(listening, clock, monkeypatch):
    session = await listening.enter("a", socket=True)

    async def away(**_):
        raise OSError

    with monkeypatch.context() as broken:
        broken.setattr(listening.absence._seats, "expired", away)
        clock.advance(SECOND)
        with pytest.raises(OSError):  # noqa: PT011 -- it carries nothing to match
            await listening.absence.give_up_seats()
    await pass_time(listening, clock, GRACE - SECOND)
    assert await players(listening, session) == ("a",)


async def test_a_gateway_s_word_keeps_a_session_from_idling(listening, clock):
    session = await listening.create(player_ids=["a"])
    clock.advance(IDLE - SECOND)
    await listening.absence.active(sessions_active("gateway-1", session.session_id, "a-room", at=clock.now()))
    clock.advance(IDLE - SECOND)
    assert await listening.lifecycle.end_idle(IDLE) == []


@pytest.mark.parametrize("off", [timedelta(hours=-1), timedelta(hours=1)])
async def test_a_gateway_whose_clock_is_an_hour_off_keeps_a_session_from_idling_too(listening, clock, off):
    session = await listening.create(player_ids=["a"])
    clock.advance(IDLE - SECOND)
    await listening.absence.active(sessions_active("gateway-1", session.session_id, at=clock.now() + off))
    assert (await listening.get(session.session_id)).last_activity_at == clock.now()


async def test_a_socket_without_a_session_concerns_nobody(listening, clock):
    await listening.absence.entered(a_presence("a", None, at=clock.now()))
    await listening.absence.disconnected(a_presence("a", None, at=clock.now()))


async def test_thousands_of_seats_of_one_gateway_are_given_up_in_one_round(listening, clock, monkeypatch):
    monkeypatch.setattr("session_manager.absence.BATCH", 7)
    session = await listening.create(max_players=100)
    for number in range(20):
        await listening.join(session.session_id, f"player-{number}", socket=True)
    await pass_time(listening, clock, GRACE - SECOND)
    clock.advance(SECOND)

    assert await listening.absence.give_up_seats() == 20
    await assert_sound(listening.database)
