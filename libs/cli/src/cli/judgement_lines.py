"""How hosts were judged, a line each; for whoever asks why one was chosen."""

from collections.abc import Iterable

from contracts.zones import Judgement
from rich.text import Text

from cli.tables import Cell, Column, Tinted, lines_of, room
from cli.tints import BAD, GOOD, number

COLUMNS = (
    Column("host"),
    Column("verdict", stretches=True),
    Column("score", right=True),
    Column("known", right=True, leave_out=2),
    Column("seats", right=True, leave_out=1),
    Column("slots", right=True, leave_out=3),
    Column("way", right=True, leave_out=4),
)


def judgement_lines(judgements: Iterable[Judgement]) -> Iterable[Text]:
    return lines_of(COLUMNS, map(_judgement, judgements), room())


def _judgement(one: Judgement) -> tuple[Cell, ...]:
    return (
        one.host_id,
        _verdict(one),
        f"{one.quality_score:.2f}",
        f"{one.confidence:.0%}",
        str(one.seats_free),
        str(one.slots_free),
        number(one.worst_round_trip_ms, " ms"),
    )


def _verdict(one: Judgement) -> Tinted:
    if one.chosen:
        return Tinted("chosen", GOOD)
    if one.rejections:
        return Tinted(", ".join(one.rejections), BAD)
    return Tinted("able, no socket" if one.connected is False else "able", "")
