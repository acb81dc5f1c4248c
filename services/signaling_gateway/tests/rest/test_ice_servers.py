"""Which STUN and TURN servers a peer is given, and what it shows to a TURN server."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import timedelta

import pytest
from chassis.refusals import UnavailableError
from contracts.identifiers import from_token
from signaling_gateway.rooms.host_regions import KNOWN_FOR_S, MOST_KNOWN, UNKNOWN_FOR_S, HostRegions
from signaling_gateway.rooms.ice_servers import IceServers, TurnServer

NOW = 1_700_000_000
LONGEST_USERNAME = 509
"""Bytes, says STUN (RFC 8489, section 14.3)."""


class Registry:
    """Where hosts are, and how often that was asked; the clock is ours to set."""

    def __init__(self, **regions: str | None) -> None:
        self.regions: dict[str, str | None] = dict(regions)
        self.asked: list[str] = []
        self.away = False
        self.now = 0.0
        self.known = HostRegions(self._of_host, self._of_host, lambda: self.now)

    async def _of_host(self, name: str) -> str | None:
        self.asked.append(name)
        if self.away:
            raise UnavailableError("away")
        return self.regions.get(name)


def servers(
    secret: str = "s3cret",
    life: timedelta = timedelta(hours=1),
    turn: Sequence[str] = ("turn:t.example",),
    registry: Registry | None = None,
) -> IceServers:
    relays, regions = tuple(map(TurnServer.read, turn)), (registry or Registry()).known
    return IceServers(("stun.example:3478",), relays, secret, life, regions, lambda: NOW + 0.9)


def test_credentials_are_what_a_turn_server_makes_of_the_name_and_its_secret():
    stun, turn = servers().of("ann")

    assert stun.urls == ("stun:stun.example:3478",)
    assert turn.username == f"{NOW + 3600}:ann"
    made = hmac.new(b"s3cret", turn.username.encode(), hashlib.sha1).digest()
    assert turn.credential == base64.b64encode(made).decode()


def test_they_last_as_long_as_is_set():
    (_, turn) = servers(life=timedelta(minutes=2)).of("ann")

    assert turn.username == f"{NOW + 120}:ann"


@pytest.mark.parametrize("peer_id", ["a:b", "1@tower", "ann with blanks", "Ünïcödé", "1700009999:ann", "%3A"])
def test_any_name_is_one_word_behind_the_one_colon(peer_id: str):
    (_, turn) = servers().of(peer_id)

    until, _, name = (turn.username or "").partition(":")
    assert (until, from_token(name)) == (str(NOW + 3600), peer_id)
    assert ":" not in name


@pytest.mark.parametrize("name", ["session-0123456789abcdef", "a:b", "a.b", "Ünïcödé", "1700009999:x.y"])
def test_a_session_is_named_behind_the_peer_and_cannot_be_taken_for_a_part_of_it(name: str):
    (_, turn) = servers().of("ann.b", name)

    until, _, names = (turn.username or "").partition(":")
    peer, _, session = names.partition(".")
    assert (until, from_token(peer), from_token(session)) == (str(NOW + 3600), "ann.b", name)
    assert ":" not in names


def test_no_two_peers_or_sessions_have_the_same_credentials():
    shown = {
        (relay.username, relay.credential)
        for relay in (
            servers().of("ann")[1],
            servers().of("ann", "s")[1],
            servers().of("ann", "t")[1],
            servers().of("bob", "s")[1],
            servers().of("ann.s")[1],
        )
    }

    assert len(shown) == len({credential for _, credential in shown}) == 5


def test_the_longest_names_fit_and_differ():
    long = "\U0001d538" * 127
    names = [(servers().of(long + last, long)[1].username or "") for last in "\U0001d538\U0001d539"]
    names.append(servers().of("\U0001d538" * 16, "\U0001d539" * 16)[1].username or "")

    assert len(set(names)) == 3
    assert all(len(name.encode()) <= LONGEST_USERNAME for name in names)


def test_turn_over_tls_is_told_as_it_is_written():
    urls = ("turns:t.example:5349?transport=tcp", "t.example:3478", "TURNS:t.example", "eu=t.example")

    _, everywhere, europe = servers(turn=urls).of("ann")

    assert everywhere.urls == ("turns:t.example:5349?transport=tcp", "turn:t.example:3478", "TURNS:t.example")
    assert europe.urls == ("turn:t.example",)


def test_without_a_secret_there_is_nothing_to_show():
    (_, turn) = servers(secret="").of("ann")

    assert (turn.username, turn.credential) == (None, None)


TURNS = ("us=turn:us.example", "turn:any.example", "eu=turn:eu.example", "eu=turns:eu.example:5349?transport=tcp")
EU = ("turn:eu.example", "turns:eu.example:5349?transport=tcp")


async def in_order(ice: IceServers, host_id: str | None) -> list[tuple[str, ...]]:
    await ice.learn(host_id)
    return [server.urls for server in ice.of("ann", "s", host_id)]


async def test_the_relays_of_the_hosts_region_come_first_then_those_of_none():
    ice = servers(turn=TURNS, registry=Registry(hamburg="eu", boston="us", sydney="au", nowhere=None))
    stun, us, any_ = ("stun:stun.example:3478",), ("turn:us.example",), ("turn:any.example",)

    assert await in_order(ice, "hamburg") == [stun, EU, any_, us]
    assert await in_order(ice, "boston") == [stun, us, any_, EU]
    assert await in_order(ice, "sydney") == [stun, any_, us, EU]
    for unknown in ("nowhere", "deleted", None):
        assert await in_order(ice, unknown) == [stun, us, any_, EU]
    assert [server.urls for server in await ice.of_peer("hamburg")] == [stun, EU, any_, us]


async def test_a_region_is_the_same_however_it_is_written():
    ice = servers(turn=(" EU = turn:eu.example", "turn:any.example"), registry=Registry(hamburg="eu "))

    assert [urls[0] for urls in await in_order(ice, "hamburg")][1:] == ["turn:eu.example", "turn:any.example"]


async def test_all_relays_take_the_same_credentials():
    ice = servers(turn=TURNS, registry=Registry(hamburg="eu"))

    _, *relays = ice.of("ann", "s", "hamburg")

    assert {(relay.username, relay.credential) for relay in relays} == {(relays[0].username, relays[0].credential)}


async def test_where_hosts_are_is_asked_once_in_a_while_and_only_if_it_matters():
    registry = Registry(hamburg="eu")
    await in_order(servers(registry=registry), "hamburg")
    await servers(registry=registry).of_peer("hamburg")
    assert registry.asked == []

    ice = servers(turn=TURNS, registry=registry)
    for _ in range(3):
        await in_order(ice, "hamburg")
    assert registry.asked == ["hamburg"]
    registry.now += KNOWN_FOR_S
    registry.regions["hamburg"] = "us"
    assert (await in_order(ice, "hamburg"))[1] == ("turn:us.example",)


async def test_who_does_not_say_where_a_host_is_is_not_asked_by_everybody_and_changes_nothing():
    registry = Registry(hamburg="eu")
    ice = servers(turn=TURNS, registry=registry)
    await ice.learn("hamburg")
    registry.now, registry.away = KNOWN_FOR_S, True

    for _ in range(3):
        assert (await in_order(ice, "hamburg"))[1] == EU, "as it was said last"
        assert (await in_order(ice, "boston"))[1] == ("turn:us.example",)
    assert registry.asked == ["hamburg", "hamburg", "boston"]
    assert (await ice.of_peer("hamburg"))[1].urls == ("turn:us.example",)

    registry.now, registry.away = KNOWN_FOR_S + UNKNOWN_FOR_S, False
    assert (await in_order(ice, "hamburg"))[1] == EU


async def test_of_many_hosts_the_last_are_remembered():
    registry = Registry()
    for number in range(MOST_KNOWN + 1):
        await registry.known.learn(str(number))
    asked = len(registry.asked)

    await registry.known.learn("1")
    await registry.known.learn("0")

    assert registry.asked[asked:] == ["0"]
