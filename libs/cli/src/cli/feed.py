"""`p2p feed`: how the feeds of NPCs stand: who speaks of each zone, how old that is, and what was missed on the way."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated

import typer
from contracts.npcs import LIST_FEEDS, FeedPage, FeedStanding, ListFeeds
from rich.text import Text

from cli.answers import (
    ANSWER_WITHIN,
    DEFAULT_LIMIT,
    CursorOption,
    JsonOption,
    LimitOption,
    WatchOption,
    collected,
    present,
    question,
)
from cli.completing import zone_ids
from cli.reach import Where, reaching
from cli.spans import in_words
from cli.tables import Cell, Column, Tinted, facts_of, lines_of, room
from cli.tints import BAD, DOUBTFUL, GOOD

COLUMNS = (
    Column("zone"),
    Column("feed"),
    Column("NPCs", right=True),
    Column("told", leave_out=2),
    Column("age"),
    Column("sources", leave_out=3),
    Column("gaps", right=True, leave_out=1),
    Column("seq", right=True, leave_out=5),
    Column("every", leave_out=4),
)

ZoneArgument = Annotated[
    str | None, typer.Argument(help="One zone alone, by its zone_id.", metavar="[ZONE]", autocompletion=zone_ids)
]


@reaching
def feed(
    where: Where,
    zone: ZoneArgument = None,
    limit: LimitOption = DEFAULT_LIMIT,
    cursor: CursorOption = None,
    watch: WatchOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show how the feeds of NPCs stand, of the zones that are played."""
    where.entrance()  # says so where only a gateway is named; its dashboard shows those that stand worst
    if zone is not None:
        named = question(ListFeeds, zone_id=zone)
        present(
            where, lambda suite: suite.ask(LIST_FEEDS, named, ANSWER_WITHIN), _particulars, as_json=as_json, watch=watch
        )
        return
    asked = question(ListFeeds, cursor=cursor)
    present(where, lambda suite: collected(suite, LIST_FEEDS, asked, limit), _list, as_json=as_json, watch=watch)


def _list(page: FeedPage) -> Iterable[Text]:
    if not page.items:
        return [Text("no zone is played, so no feed is told")]
    now = datetime.now(UTC)
    return lines_of(COLUMNS, (_row(standing, now) for standing in page.items), room())


def _particulars(page: FeedPage) -> Iterable[Text]:
    if not page.items:
        return [Text("nobody plays in that zone, so its feed is not told")]
    now = datetime.now(UTC)
    (standing,) = page.items
    return facts_of(zip((column.heading for column in COLUMNS), _row(standing, now), strict=True))


def _row(standing: FeedStanding, now: datetime) -> tuple[Cell, ...]:
    return (
        standing.zone_id,
        _state(standing),
        str(standing.npcs),
        _ago(standing.told_at, now),
        _age(standing, now),
        ", ".join(f"{source} {_ago(at, now)}" for source, at in standing.sources.items()) or "-",
        str(standing.gaps),
        "-" if standing.seq is None else str(standing.seq),
        in_words(standing.interval_s),
    )


def _state(standing: FeedStanding) -> Cell:
    if standing.heard_at is None:
        return Tinted("unspoken of", DOUBTFUL)
    return Tinted("stale", BAD) if standing.stale else Tinted("live", GOOD)


def _age(standing: FeedStanding, now: datetime) -> str:
    if standing.heard_at is None:
        return "-"
    return in_words(round((now - standing.heard_at).total_seconds(), 1))


def _ago(at: datetime | None, now: datetime) -> str:
    return "never" if at is None else f"{in_words(round((now - at).total_seconds(), 1))} ago"
