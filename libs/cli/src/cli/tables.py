"""Tables for people: as wide as the terminal and no wider; in a pipe whole, and without colours."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

GAP = "  "
NARROWEST = 6
"""Below this a column says nothing; a terminal narrower than that many of them lets lines run on."""

SOME_WORDS = 14
"""Of prose, enough to tell what it is about."""

ELLIPSIS = "…"


class Tinted(NamedTuple):
    """Words and their colour, as rich names it."""

    words: str
    tint: str


Cell = str | Tinted


@dataclass(frozen=True)
class Column:
    heading: str
    right: bool = False
    leave_out: int = 0
    """Where there is no room for all, the column with the highest number goes first; 0 stays."""
    stretches: bool = False
    """Holds prose: it gives up room before another column goes."""


@cache
def terminal() -> Console:
    """Where answers go; made once, since it looks at the terminal and at NO_COLOR."""
    return Console(highlight=False, markup=False, emoji=False, soft_wrap=True)


def harmless(words: str) -> str:
    """Write out what would move the cursor, turn the direction of a line or not be seen: names come from players."""
    return "".join(sign if sign.isprintable() else f"\\u{ord(sign):04x}" for sign in words)


def lines_of(columns: Sequence[Column], rows: Iterable[Sequence[Cell]], width: int | None) -> list[Text]:
    """Lay a table out in `width` cells, or in as many as it needs; which columns had no room is its last line."""
    cells = [[_tinted(cell) for cell in row] for row in rows]
    widths = [
        max([cell_len(column.heading), *(cell_len(row[at].words) for row in cells)])
        for at, column in enumerate(columns)
    ]
    kept = list(range(len(columns)))
    if width is not None:
        kept = _kept(columns, widths, width)
        stretching = [at for at in kept if columns[at].stretches]
        _narrow(widths, stretching, width, kept, SOME_WORDS)
        _narrow(widths, kept, width, kept, NARROWEST)
    heading = [Tinted(column.heading, "bold") for column in columns]
    lines = [_line([(row[at], widths[at], columns[at].right) for at in kept]) for row in (heading, *cells)]
    if len(kept) < len(columns):
        left_out = ", ".join(column.heading for at, column in enumerate(columns) if at not in kept)
        lines.append(Text(f"(no room for: {left_out})", "dim", no_wrap=True))
    return lines


def show_table(columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> None:
    show(lines_of(columns, rows, room()))


def show(lines: Iterable[Text | str]) -> None:
    for line in lines:
        terminal().print(line)


def room() -> int | None:
    """How many cells a line may have; None where nobody looks."""
    return terminal().width if terminal().is_terminal else None


def facts_of(pairs: Iterable[tuple[str, Cell]]) -> list[Text]:
    """One thing's particulars, a line each, what they are called in front."""
    named = [(name, _tinted(cell)) for name, cell in pairs]
    indent = max((len(name) for name, _ in named), default=0)
    return [Text.assemble((f"{name:<{indent}}", "dim"), GAP, (cell.words, cell.tint)) for name, cell in named]


def _tinted(cell: Cell) -> Tinted:
    words, tint = cell if isinstance(cell, Tinted) else (cell, "")
    return Tinted(harmless(words), tint)


def _kept(columns: Sequence[Column], widths: Sequence[int], width: int) -> list[int]:
    least = [min(room, SOME_WORDS) if column.stretches else room for column, room in zip(columns, widths, strict=True)]
    kept = list(range(len(columns)))
    while _total(least, kept) > width:
        leaves = max(kept, key=lambda at: columns[at].leave_out)
        if columns[leaves].leave_out == 0:
            break
        kept.remove(leaves)
    return kept


def _narrow(widths: list[int], those: Sequence[int], width: int, kept: Sequence[int], least: int) -> None:
    """Take from the widest of those, again and again, while all are too wide together: what is short stays whole."""
    while those and (over := _total(widths, kept) - width) > 0:
        widest, *others = sorted(those, key=lambda at: -widths[at])
        if widths[widest] <= least:
            return
        next_widest = max(least, widths[others[0]] if others else least)
        widths[widest] -= min(over, max(1, widths[widest] - next_widest))


def _total(widths: Sequence[int], kept: Sequence[int]) -> int:
    return sum(widths[at] for at in kept) + len(GAP) * (len(kept) - 1)


def _line(cells: Iterable[tuple[Tinted, int, bool]]) -> Text:
    line = Text(no_wrap=True)
    for number, ((words, tint), width, right) in enumerate(cells):
        fitting = words if cell_len(words) <= width else set_cell_size(words, width - 1) + ELLIPSIS
        blanks = " " * (width - cell_len(fitting))
        line.append(GAP if number else "")
        line.append(blanks if right else "")
        line.append(fitting, tint)
        line.append("" if right else blanks)
    line.rstrip()
    return line
