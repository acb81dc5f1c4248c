"""A page ends before it is too large for a reply, and never at nothing."""

import pytest
from chassis.pages import PAGE_BYTES, fitting


@pytest.mark.parametrize(
    ("sizes", "fit"),
    [
        ([], 0),
        ([10, 10], 2),
        ([PAGE_BYTES // 2 - 1, PAGE_BYTES // 2 - 1, 0], 2),
        ([PAGE_BYTES // 2, PAGE_BYTES // 2], 1),
        ([PAGE_BYTES * 2, 1], 1),
        ([1, PAGE_BYTES, 1], 1),
    ],
)
def test_items_fit_until_the_first_that_does_not(sizes, fit):
    items = [b"x" * size for size in sizes]
    assert fitting(items) == items[:fit]


def test_nothing_is_written_that_will_not_be_in_the_page():
    written = []

    def item(size):
        written.append(size)
        return b"x" * size

    fitting(map(item, [PAGE_BYTES, PAGE_BYTES, 1, 1]))
    assert written == [PAGE_BYTES, PAGE_BYTES]
