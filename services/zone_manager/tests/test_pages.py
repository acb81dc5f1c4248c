"""Where a page of zones ends."""

import pytest
from chassis.pages import PAGE_BYTES
from chassis.refusals import InvalidError
from zone_manager.pages import Position, page, read_cursor

from services.zone_manager.tests.examples import zone


def test_a_page_ends_at_its_limit_and_says_where_the_next_begins():
    zones = [zone(f"zone-{number}", id=number, p2p_priority=10 - number) for number in range(1, 4)]
    first = page(zones, limit=2)
    assert [item.zone_id for item in first.items] == ["zone-1", "zone-2"]
    assert read_cursor(first.next_cursor) == Position(p2p_priority=8, zone_name="zone-2", id=2)


def test_the_last_page_has_no_next_one():
    assert page([zone()], limit=2).next_cursor is None
    assert page([], limit=2).next_cursor is None


def test_a_page_ends_early_where_more_would_not_fit_a_reply():
    zones = [zone(f"zone-{number}", id=number, description="界" * 4096) for number in range(1, 100)]
    cut = page(zones, limit=98)
    assert 0 < len(cut.items) < 98
    assert len(cut.model_dump_json().encode()) < PAGE_BYTES + 4096
    last = cut.items[-1]
    assert read_cursor(cut.next_cursor) == Position(last.p2p_priority, last.zone_name, last.id)


def test_no_cursor_is_the_beginning():
    assert read_cursor(None) is None


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "ü",
        "bm9uc2Vuc2U=",
        "WzEsMiwzXQ==",
        "WzEsICJhIiwgLTFd",
        "WzEsICJhXHUwMDAwYiIsIDNd",
        "WzEwOTk1MTE2Mjc3NzYsICJhIiwgM10=",
    ],
)
def test_a_cursor_that_no_page_gave_is_refused(cursor: str):
    with pytest.raises(InvalidError):
        read_cursor(cursor)
