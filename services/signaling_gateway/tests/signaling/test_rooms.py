"""What sockets of a room are told: each coming and going once, whoever says it and in whatever order."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from contracts.gateway import RoomPresence
from hypothesis import given
from hypothesis import strategies as st
from signaling_gateway.cluster.presence import Listing, Mark
from signaling_gateway.peers.connections import Connection
from signaling_gateway.peers.conversation import Place, Standing
from signaling_gateway.peers.uvicorn_socket import Wire
from signaling_gateway.rooms.room import Room
from signaling_gateway.rooms.rooms import Rooms

ROOM = Place("lobby", is_session=False)
SESSION = Place("session-0123456789abcdef", is_session=True, host_id="host-1", host_peer_id="h1", epoch=1)
NOBODY = Listing({}, {}, frozenset())


@dataclass
class Paper:
    """Stands for a wire: what is written to it can be read."""

    said: list[dict[str, Any]] = field(default_factory=list)
    open: bool = True

    def write(self, frame: bytes) -> None:
        self.said.append(json.loads(frame))

    def read(self) -> list[dict[str, Any]]:
        said, self.said = self.said, []
        return said


@dataclass
class Gateway:
    """The rooms of one gateway and what it told others."""

    told: list[tuple[str, RoomPresence]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rooms = Rooms("me", lambda gateway, news: self.told.append((gateway, news)))

    def socket(self, name: str) -> tuple[Connection, Paper]:
        paper = Paper()
        connection = Connection(cast(Wire, paper))
        connection.standing = Standing(peer_id=name)
        return connection, paper

    def enter(
        self,
        name: str,
        place: Place = ROOM,
        listing: Listing = NOBODY,
        seated: tuple[str, ...] = (),
        after: Connection | None = None,
    ) -> Paper:
        connection, paper = self.socket(name)
        connection.take_new_id(after=after.connection_id if after is not None else None)
        with self.rooms.opening(place) as room:
            room.learn(listing, seated, "me")
            arrival = self.rooms.enter(room, connection, listing)
            assert arrival is not None
        self.rooms.tell_of(room, arrival)
        self.connection = connection
        return paper

    def room(self, place: Place = ROOM) -> Room:
        room = self.rooms.get(place.session_id)
        assert room is not None
        return room

    def hear(self, peer: str, connection_id: str, gateway: str = "other", **about: Any) -> None:
        self.rooms.hear(
            RoomPresence(
                room=about.pop("room", "lobby"),
                peer_id=peer,
                gateway_id=gateway,
                connection_id=connection_id,
                occurred_at=datetime.now(UTC),
                **about,
            )
        )


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


def listing(**players: str) -> Listing:
    return Listing({name: Mark(f"0{name}", where) for name, where in players.items()}, {}, frozenset())


def test_the_first_in_a_room_knows_who_redis_names_and_who_has_a_seat(gateway):
    gateway.enter("ann", SESSION, listing(bob="other", old="me"), seated=("bob", "carl", "ann"))
    assert gateway.room(SESSION).members.keys() == {"ann", "bob", "carl"}
    assert gateway.room(SESSION).members["carl"] is None


def test_players_whose_seats_are_kept_while_they_are_away_are_not_there(gateway):
    gateway.enter("ann", SESSION, Listing({}, {}, frozenset({"bob"})), seated=("ann", "bob"))
    assert gateway.room(SESSION).members.keys() == {"ann"}


def test_those_who_come_later_go_by_what_is_known_here(gateway):
    gateway.enter("ann")
    gateway.enter("bob", listing=listing(carl="other"))  # carl's own gateway is about to tell
    assert gateway.room().members.keys() == {"ann", "bob"}
    assert [name for name, _ in gateway.told] == ["other"]  # but carl's gateway is told of bob


def test_a_room_closes_with_its_last_socket(gateway):
    gateway.enter("ann", listing=listing(bob="other"))
    assert gateway.rooms.leave(gateway.room(), gateway.connection, "left")
    assert gateway.rooms.get("lobby") is None
    assert [(where, news.peer_id, news.present, news.reason) for where, news in gateway.told] == [
        ("other", "ann", True, None),
        ("other", "ann", False, "left"),
    ]


def test_what_is_heard_while_somebody_enters_is_newer_than_what_redis_said(gateway):
    connection, _ = gateway.socket("ann")
    with gateway.rooms.opening(ROOM) as room:
        gateway.hear("bob", "0bob", present=False)
        gateway.hear("carl", "0carl", present=True)
        room.learn(listing(bob="other"), (), "me")
        gateway.rooms.enter(room, connection, NOBODY)
    assert room.members.keys() == {"ann", "carl"}


def test_nobody_enters_past_a_newer_connection_of_the_same_peer(gateway):
    connection, _ = gateway.socket("ann")
    newer = Listing({"ann": Mark("f" * 32, "other")}, {}, frozenset())
    with gateway.rooms.opening(ROOM) as room:
        room.learn(newer, (), "me")
        assert gateway.rooms.enter(room, connection, newer) is None
    assert gateway.rooms.get("lobby") is None
    assert gateway.told == []


def test_the_older_socket_of_a_peer_leaves_without_a_word(gateway):
    ann = gateway.enter("bob")
    gateway.enter("ann")
    older = gateway.connection
    gateway.enter("ann", after=older)
    ann.read()
    assert not gateway.rooms.leave(gateway.room(), older, "replaced")
    assert ann.read() == []
    assert gateway.room().members.keys() == {"ann", "bob"}


@given(st.permutations([("0001", True), ("0001", False), ("0002", True), ("0001", True)]))
def test_a_peer_whose_newest_connection_is_there_is_there_in_whatever_order_that_is_said(news):
    gateway = Gateway()
    ann = gateway.enter("ann")
    for connection_id, present in news:
        gateway.hear("bob", connection_id, gateway=f"gw{connection_id}", present=present)
    assert gateway.room().members["bob"] == Mark("0002", "gw0002")
    frames = [frame["type"] for frame in ann.read()]
    assert frames in (["peer-joined"], ["peer-joined", "peer-left", "peer-joined"])


@given(
    st.lists(st.tuples(st.sampled_from(["bob", "carl"]), st.sampled_from(["came", "went", "seat", "freed", "died"])))
)
def test_comings_and_goings_alternate_for_every_peer(history):
    gateway = Gateway()
    ann = gateway.enter("ann")
    for peer, what in history:
        room = gateway.room()
        match what:
            case "came":
                gateway.hear(peer, f"0{peer}", present=True)
            case "went":
                gateway.hear(peer, f"0{peer}", present=False)
            case "seat":
                gateway.rooms.came(room, peer, None)
            case "freed":
                gateway.rooms.went(room, peer, None, "left")
            case "died":
                gateway.rooms.gateway_died("other")
    said = ann.read()
    for peer in ("bob", "carl"):
        told = [frame["type"] for frame in said if frame["peer_id"] == peer]
        assert told == (["peer-joined", "peer-left"] * len(told))[: len(told)]
        assert (peer in gateway.room().members) is (told[-1:] == ["peer-joined"])


def test_the_host_hears_of_players_and_which_session_they_are_in(gateway):
    host, paper = gateway.socket("h1")
    with gateway.rooms.opening(SESSION) as room:
        room.host = host
    gateway.enter("ann", SESSION)
    session_id = SESSION.session_id
    assert paper.read() == [{"type": "peer-joined", "peer_id": "ann", "session_id": session_id}]
    assert room.receiver("h1") is host
    gateway.rooms.unseat_host(room, host)
    gateway.hear("h1", "0001", present=True, host=True, room=session_id)
    assert room.receiver("h1") == Mark("0001", "other")
    gateway.hear("h1", "0001", present=False, host=True, room=session_id)
    assert room.receiver("h1") is None


def test_redis_is_believed_unless_something_was_heard_meanwhile(gateway):
    ann = gateway.enter("ann", listing=listing(bob="other", carl="other"))
    room = gateway.room()
    as_of = room.changes
    gateway.rooms.reconcile(room, listing(ann="me", carl="other", dora="third"), as_of)
    assert [(frame["type"], frame["peer_id"]) for frame in ann.read()] == [
        ("peer-joined", "dora"),
        ("peer-left", "bob"),
    ]
    gateway.rooms.reconcile(room, NOBODY, as_of)
    assert ann.read() == []
