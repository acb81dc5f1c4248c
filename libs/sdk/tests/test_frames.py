"""What a gateway or a player sends that cannot be read is passed over."""

import pytest
from sdk.probe import _number
from sdk.signaling import _frame

NESTED = "[" * 100_000


@pytest.mark.parametrize("text", ["", "{", "[]", "5", NESTED, '{"type": "news of another release"}', '{"type": []}'])
def test_a_frame_that_is_none_is_passed_over(text: str) -> None:
    assert _frame(text) is None


def test_a_number_that_is_none_is_passed_over() -> None:
    assert _number("[" * 1_000, "ping") is None
