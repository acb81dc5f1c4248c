"""`p2p events`: what happened and what happens now, or who did what; for people, or as one JSON object a line."""

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated

import typer
from contracts.identifiers import to_token
from contracts.streams import AUDIT, EVENTS

from cli.answers import JsonOption
from cli.reach import Where, reaching

MOST_AT_ONCE = 100

SPAN = re.compile(r"(\d+(?:\.\d+)?)(s|min|m|h|d)")
UNITS = {"s": "seconds", "m": "minutes", "min": "minutes", "h": "hours", "d": "days"}

FACTS_SINCE, RECORD_SINCE = "1h", "24h"


class Owner(StrEnum):
    """Whose facts."""

    HOSTS = "hosts"
    ZONES = "zones"
    SESSIONS = "sessions"
    GATEWAY = "gateway"
    JOBS = "jobs"


@reaching
def events(
    where: Where,
    of: Annotated[Owner | None, typer.Option(help="Only what happens to these.")] = None,
    thing: Annotated[
        str | None, typer.Option("--id", help="Only of this host, zone, session, gateway or job.", metavar="ID")
    ] = None,
    what: Annotated[
        str | None, typer.Option(help="Only this: registered, offline, joined, ended, ….", metavar="WORD")
    ] = None,
    audit: Annotated[bool, typer.Option("--audit", help="Instead, who did what, and what was refused.")] = False,
    since: Annotated[
        str | None,
        typer.Option(
            help="From 90s, 10m, 2h, 3d ago, or a time such as 2026-01-31T08:00 (UTC); facts are kept for 7 days, "
            "the record for 30.",
            metavar="WHEN",
            show_default=f"{FACTS_SINCE}, with --audit {RECORD_SINCE}",
        ),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="And all that comes, until Ctrl-C.")] = False,
    limit: Annotated[int, typer.Option(help="Of what was, so many of the latest; 0 for all.", min=0)] = MOST_AT_ONCE,
    as_json: JsonOption = False,
) -> None:
    """Show what happened to hosts, zones, sessions, peers and jobs; with --audit who did what, and was refused.

    Jobs that went well, and that sessions still live, happen all the time: name them with --of, --id or --what.
    """
    if audit and (of or thing or what):
        raise typer.BadParameter("--audit is a record of its own: --of, --id and --what are not for it")
    begin = read_since(since or (RECORD_SINCE if audit else FACTS_SINCE), datetime.now(UTC))
    stream, subject = (AUDIT, AUDIT.subjects[0]) if audit else (EVENTS, _subject(of, thing, what))
    # Here, because the SDK takes most of a second to load, which every other subcommand would pay.
    from cli.happenings import tell  # noqa: PLC0415

    with suppress(KeyboardInterrupt):
        tell(where.entrance(), stream, subject, begin, follow=follow, limit=limit or None, as_json=as_json)


def read_since(word: str, now: datetime) -> datetime:
    """Read a span, such as 10m, as so long ago; or a time, of UTC where it does not say."""
    if span := SPAN.fullmatch(word.strip()):
        return now - timedelta(**{UNITS[span[2]]: float(span[1])})
    try:
        at = datetime.fromisoformat(word)
    except ValueError:
        raise typer.BadParameter(
            f"--since {word!r}: write 90s, 10m, 2h, 3d or a time such as 2026-01-31T08:00"
        ) from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _subject(of: Owner | None, thing: str | None, what: str | None) -> str:
    """As NATS filters: what is not said may be anything."""
    return ".".join(("p2p.events", of or "*", to_token(thing) if thing else "*", to_token(what) if what else "*"))
