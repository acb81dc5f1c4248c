"""Which STUN and TURN servers a peer is given, and what it shows to a TURN server."""

import base64
import hashlib
import hmac
from datetime import timedelta

import pytest
from contracts.identifiers import from_token
from signaling_gateway.rooms.ice_servers import IceServers

NOW = 1_700_000_000
LONGEST_USERNAME = 509
"""Bytes, says STUN (RFC 8489, section 14.3)."""


def servers(secret: str = "s3cret", life: timedelta = timedelta(hours=1), turn=("turn:t.example",)) -> IceServers:
    return IceServers(("stun.example:3478",), turn, secret, life, lambda: NOW + 0.9)


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


def test_the_longest_names_fit_and_differ():
    names = [(servers().of("\U0001d538" * 127 + last)[1].username or "") for last in "\U0001d538\U0001d539"]

    assert len(set(names)) == 2
    assert all(len(name.encode()) <= LONGEST_USERNAME for name in names)


def test_turn_over_tls_is_told_as_it_is_written():
    urls = ("turns:t.example:5349?transport=tcp", "t.example:3478")

    assert servers(turn=urls).of("ann")[1].urls == ("turns:t.example:5349?transport=tcp", "turn:t.example:3478")


def test_without_a_secret_there_is_nothing_to_show():
    (_, turn) = servers(secret="").of("ann")

    assert (turn.username, turn.credential) == (None, None)
