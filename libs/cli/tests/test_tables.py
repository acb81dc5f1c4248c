"""Tables by themselves: what they leave out, narrow and write out."""

import pytest
from cli.tables import Column, Tinted, harmless, lines_of
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

COLUMNS = (Column("host"), Column("score", right=True), Column("region", leave_out=1), Column("name", leave_out=2))
ROWS = [("host-1", Tinted("98.50", "green"), "eu-west", "Anna"), ("host-22", "7.00", "-", "😀 漢字")]


def shown(width, rows=ROWS, columns=COLUMNS):
    return [line.plain for line in lines_of(columns, rows, width)]


def test_where_nobody_looks_a_table_is_as_wide_as_it_needs():
    name = "Z" * 200
    assert shown(None, [("host-1", "98.50", "eu", name)])[1] == f"host-1  98.50  eu      {name}"


def test_columns_stand_under_one_another_whatever_is_in_them():
    assert shown(None) == [
        "host     score  region   name",
        "host-1   98.50  eu-west  Anna",
        "host-22   7.00  -        😀 漢字",
    ]


def test_the_least_important_column_goes_first_and_is_named():
    assert shown(24) == [
        "host     score  region",
        "host-1   98.50  eu-west",
        "host-22   7.00  -",
        "(no room for: name)",
    ]
    assert shown(16)[-1] == "(no room for: region, name)"


def test_prose_gives_up_room_before_a_column_goes():
    columns = (*COLUMNS[:3], Column("detail", leave_out=3, stretches=True))
    lines = shown(46, [("host-1", "98.50", "eu-west", "a long story of what happened here")], columns)
    assert lines[1] == "host-1  98.50  eu-west  a long story of what …"


@given(st.lists(st.tuples(*[st.text(max_size=130)] * 4), max_size=5), st.integers(min_value=20, max_value=200))
def test_no_line_is_wider_than_the_terminal(rows, width):
    assert max(map(cell_len, shown(width, rows)[: len(rows) + 1])) <= width


@pytest.mark.parametrize(
    ("hostile", "written"),
    [
        ("\x1b[31mred", "\\u001b[31mred"),
        ("a\u202eb", "a\\u202eb"),
        ("a\nb", "a\\u000ab"),
        ("[bold]x[/bold]", "[bold]x[/bold]"),
        ("<b>&amp;</b>", "<b>&amp;</b>"),
        ("שלום 😀", "שלום 😀"),
    ],
)
def test_names_stay_text(hostile, written):
    assert harmless(hostile) == written
    assert shown(None, [(hostile, "1", "-", "-")])[1].startswith(written)
