"""A host that its players have lost, on a real database, clock in hand."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from contracts.gateway import IceState
from contracts.hosts import HostStatus

from services.host_registry.tests.world import SECOND, World, session_fact

LOST, STANDS, FAILED = IceState.DISCONNECTED, IceState.CONNECTED, IceState.FAILED


@pytest.fixture
async def world(world: World) -> World:
    """Four players on one host, which has a socket."""
    await world.register()
    await world.connect("c1")
    await world.reserve("session-1", seats=4)
    await world.tell_session(session_fact(players=4))
    world.clock.advance(5 * SECOND)
    await world.silence.judge()
    return world


async def status(world: World) -> HostStatus:
    return (await world.host()).status


async def test_two_players_and_the_socket_lose_a_host_at_once(world: World) -> None:
    await world.disconnect("c1")
    await world.say("alice", LOST)
    assert await status(world) is HostStatus.ONLINE
    await world.say("bob", LOST)
    assert await status(world) is HostStatus.OFFLINE
    fact = (await world.told())[-1]
    assert (fact["subject"], fact["reason"]) == ("p2p.events.hosts.host-1.offline", "players_lost_it")


async def test_the_socket_that_closes_last_is_judged_as_well(world: World) -> None:
    for player in ("alice", "bob"):
        await world.say(player, LOST)
    assert await status(world) is HostStatus.ONLINE
    await world.disconnect("c1")
    assert await status(world) is HostStatus.OFFLINE


async def test_it_is_lost_once_whoever_says_so_and_at_the_same_time(world: World) -> None:
    await world.disconnect("c1")
    await asyncio.gather(*(world.say(player, LOST) for player in ("alice", "bob", "carol", "dave")))
    await world.wait(5 * SECOND)
    assert (await world.told_subjects()).count("host-1.offline") == 1


async def test_one_player_who_says_it_twice_is_one(world: World) -> None:
    await world.disconnect("c1")
    await world.say("alice", LOST, ago=SECOND)
    await world.say("alice", LOST)
    assert await status(world) is HostStatus.ONLINE


@pytest.mark.parametrize(
    "about",
    [{"session_id": "session-2"}, {"to": "host-2"}, {"peer_id": "host-1"}],
    ids=["of a session elsewhere", "of another host", "of the host itself"],
)
async def test_strangers_say_nothing_of_a_host(world: World, about: dict[str, Any]) -> None:
    await world.disconnect("c1")
    await world.say("alice", LOST)
    await world.say("bob", LOST, **about)
    assert await status(world) is HostStatus.ONLINE


async def test_an_attempt_that_failed_neither_loses_a_host_nor_takes_a_word_back(world: World) -> None:
    await world.disconnect("c1")
    for state in (LOST, FAILED):
        await world.say("alice", state)
    await world.say("bob", FAILED)
    assert await status(world) is HostStatus.ONLINE
    await world.say("bob", LOST)
    assert await status(world) is HostStatus.OFFLINE


async def test_whoever_hears_it_again_keeps_it(world: World) -> None:
    await world.disconnect("c1")
    await world.say("alice", LOST, ago=SECOND / 2)
    await world.say("alice", STANDS)
    await world.say("bob", LOST)
    assert await status(world) is HostStatus.ONLINE


async def test_an_older_word_that_comes_late_changes_nothing(world: World) -> None:
    await world.disconnect("c1")
    await world.say("bob", LOST)
    await world.say("alice", STANDS, ago=SECOND)
    await world.say("alice", LOST, ago=2 * SECOND)
    assert await status(world) is HostStatus.ONLINE


async def test_while_its_socket_stands_most_players_make_it_suspect_until_it_beats(world: World) -> None:
    for player in ("alice", "bob"):
        await world.say(player, LOST)
    assert await status(world) is HostStatus.ONLINE
    await world.say("carol", LOST)
    fact = (await world.told())[-1]
    assert (fact["subject"], fact["reason"]) == ("p2p.events.hosts.host-1.suspect", "players_lost_it")
    await world.say("dave", LOST)
    await world.beat()
    assert await status(world) is HostStatus.ONLINE
    assert (await world.told_subjects()).count("host-1.suspect") == 1


async def test_a_suspect_whose_socket_closes_is_lost_at_once(world: World) -> None:
    for player in ("alice", "bob", "carol"):
        await world.say(player, LOST)
    await world.disconnect("c1")
    assert await status(world) is HostStatus.OFFLINE


async def test_a_host_that_drains_is_left_alone(world: World) -> None:
    await world.drain("host-1")
    await world.disconnect("c1")
    for player in ("alice", "bob"):
        await world.say(player, LOST)
    assert await status(world) is HostStatus.DRAINING


async def test_words_are_forgotten_when_they_count_no_more(world: World) -> None:
    await world.say("alice", LOST)
    world.clock.advance(timedelta(seconds=9))
    await world.witnesses.forget()
    assert await world.database.fetchval("test", "SELECT count(*) FROM words") == 1
    world.clock.advance(SECOND)
    await world.witnesses.forget()
    assert await world.database.fetchval("test", "SELECT count(*) FROM words") == 0
