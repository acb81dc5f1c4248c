"""Cursors of the list of hosts."""

from base64 import urlsafe_b64encode

import pytest
from chassis.refusals import InvalidError
from host_registry.pages import START, Position, cursor_at, position_of
from hypothesis import given
from hypothesis import strategies as st


@given(st.integers(0, 10_000), st.integers(0, 2**63 - 1))
def test_a_cursor_leads_back_to_its_place(hundredths: int, no: int) -> None:
    position = Position(hundredths / 100, no)
    assert position_of(cursor_at(position)) == position


def test_without_a_cursor_the_list_begins_at_the_start() -> None:
    assert position_of(None) == START


@given(st.text(max_size=40))
def test_a_made_up_cursor_is_refused(text: str) -> None:
    with pytest.raises(InvalidError):
        position_of(text + "!")


@pytest.mark.parametrize("place", ["", "98.5", "98.5 1 1", "x 1", "1 x", "nan 1", "inf 1", "1 -1", f"1 {2**63}"])
def test_a_place_that_no_host_can_have_is_refused(place: str) -> None:
    with pytest.raises(InvalidError):
        position_of(urlsafe_b64encode(place.encode()).decode())
