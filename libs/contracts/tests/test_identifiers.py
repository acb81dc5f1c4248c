"""Identifiers come from players and map names; none of them may widen or leave its subject."""

import pytest
from contracts.hosts import HEARTBEAT, NameHost
from contracts.identifiers import from_token, identifier, to_token
from contracts.npcs import NPC_STATE
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError


def _is_legal(text: str) -> bool:
    try:
        identifier(text)
    except ValueError:
        return False
    return True


legal = st.text(
    st.characters(blacklist_categories=("C", "Z"), blacklist_characters="/"), min_size=1, max_size=16
).filter(_is_legal)


@given(legal)
def test_encoding_is_reversible(text: str) -> None:
    assert from_token(to_token(text)) == text


@given(legal)
def test_an_encoded_identifier_is_one_plain_token(text: str) -> None:
    assert not set(to_token(text)) & set(".*> \t\r\n")


@given(legal, legal)
def test_subjects_of_two_identifiers_read_back(zone: str, npc: str) -> None:
    assert NPC_STATE.parse(NPC_STATE.of(zone_id=zone, npc_id=npc)) == {"zone_id": zone, "npc_id": npc}


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("prontera", "prontera"),
        ("1@tower", "1%40tower"),
        ("gef_fild07", "gef_fild07"),
        ("a.b", "a%2Eb"),
        ("a b", "a%20b"),
        ("*", "%2A"),
        (">", "%3E"),
        ("~", "%7E"),
        ("é", "%C3%A9"),
    ],
)
def test_the_documented_encodings(text: str, token: str) -> None:
    assert to_token(text) == token
    assert from_token(token) == text


@pytest.mark.parametrize("token", ["", "a.b", "%2a", "%41", "%", "%E9", "a b", "%2"])
def test_what_no_encoder_makes_is_refused(token: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        from_token(token)


@pytest.mark.parametrize(
    "text", ["", "x" * 129, "a/b", ".", "..", " a", "a ", "a\nb", "a\x00", "e\u0301", "\u200b", "a\u2028b"]
)
def test_what_is_no_identifier_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        NameHost(host_id=text)


@pytest.mark.parametrize(("character", "most"), [("x", 128), ("é", 32), ("한", 21), ("🙂", 16)])
def test_an_identifier_is_as_long_as_two_of_them_fit_a_subject(character: str, most: int) -> None:
    assert identifier(character * most) == character * most
    with pytest.raises(ValueError, match="must"):
        identifier(character * (most + 1))


def test_128_plain_characters_are_an_identifier() -> None:
    assert NameHost(host_id="x" * 128).host_id == "x" * 128


def test_a_subject_over_512_bytes_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 512"):
        HEARTBEAT.of(host_id="界" * 100)
