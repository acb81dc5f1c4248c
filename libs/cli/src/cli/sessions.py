"""`p2p sessions`: who plays where; one session with its history, and why it is where it is; ended."""

from collections.abc import Iterable
from typing import Annotated

import typer
from contracts.sessions import (
    END_SESSION,
    EXPLAIN_SESSION,
    GET_SESSION,
    LIST_SESSION_EVENTS,
    LIST_SESSIONS,
    MIGRATE_SESSION,
    EndSession,
    ListSessionEvents,
    ListSessions,
    MigrateSession,
    NameSession,
    Session,
    SessionEvent,
    SessionExplained,
    SessionPage,
    SessionStatus,
)
from rich.text import Text

from cli.answers import (
    ANSWER_WITHIN,
    DEFAULT_LIMIT,
    Asker,
    CursorOption,
    JsonOption,
    LimitOption,
    WatchOption,
    answer,
    collected,
    present,
    question,
)
from cli.completing import host_ids, session_ids, zone_ids
from cli.judgement_lines import judgement_lines
from cli.reach import Where, reaching
from cli.session_lines import session_lines
from cli.tables import Column, facts_of, lines_of, room
from cli.tints import UNKNOWN, moment, number, state

HISTORY = (
    Column("at (UTC)"),
    Column("event"),
    Column("status", leave_out=1),
    Column("epoch", right=True, leave_out=2),
    Column("what", stretches=True),
    Column("trace", leave_out=3),
)

MOST_EVENTS = 1000

SessionArgument = Annotated[
    str, typer.Argument(help="Its session_id, or its number.", metavar="SESSION", autocompletion=session_ids)
]

sessions = typer.Typer(invoke_without_command=True, help="See the sessions and what happened in them, end them.")


class SessionShown(Session):
    """A session and its history, oldest first."""

    events: tuple[SessionEvent, ...]


@sessions.callback()
@reaching
def list_sessions(
    context: typer.Context,
    where: Where,
    status: Annotated[SessionStatus | None, typer.Option(help="Only sessions that stand so.")] = None,
    zone: Annotated[str | None, typer.Option(help="Only of this zone.", autocompletion=zone_ids)] = None,
    host: Annotated[str | None, typer.Option(help="Only on this host.", autocompletion=host_ids)] = None,
    player: Annotated[str | None, typer.Option(help="Only with this player.")] = None,
    limit: LimitOption = DEFAULT_LIMIT,
    cursor: CursorOption = None,
    watch: WatchOption = False,
    as_json: JsonOption = False,
) -> None:
    """List sessions, newest first."""
    if context.invoked_subcommand is not None:
        return
    asked = question(ListSessions, status=status, zone_id=zone, host_id=host, player_id=player, cursor=cursor)
    present(where, lambda suite: collected(suite, LIST_SESSIONS, asked, limit), _list, as_json=as_json, watch=watch)


@sessions.command("show")
@reaching
def show_session(
    where: Where, session: SessionArgument, watch: WatchOption = False, as_json: JsonOption = False
) -> None:
    """Show a session, its players, and all that happened in it."""
    name = question(NameSession, session=session)
    history = question(ListSessionEvents, session=session)

    async def look(suite: Asker) -> SessionShown:
        found = await suite.ask(GET_SESSION, name, ANSWER_WITHIN)
        events = await collected(suite, LIST_SESSION_EVENTS, history, MOST_EVENTS)
        return SessionShown(**dict(found), events=events.items)

    present(where, look, _particulars, as_json=as_json, watch=watch)


@sessions.command()
@reaching
def end(
    where: Where,
    session: SessionArgument,
    reason: Annotated[str, typer.Option(help="For its history and its players.")] = "ended by an operator",
    as_json: JsonOption = False,
) -> None:
    """End a session and free its seats."""
    ended = answer(where, END_SESSION, question(EndSession, session=session, reason=reason))
    print(ended.model_dump_json(indent=2) if as_json else f"{ended.session_id} is {ended.status}: {ended.end_reason}")


@sessions.command()
@reaching
def migrate(
    where: Where,
    session: SessionArgument,
    host: Annotated[str | None, typer.Option(help="To this host; by default to the best.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Give a session to another host; its players go over by themselves."""
    moved = answer(where, MIGRATE_SESSION, question(MigrateSession, session=session, host_id=host))
    line = f"{moved.session_id} is on {moved.host_id}, epoch {moved.epoch}"
    print(moved.model_dump_json(indent=2) if as_json else line)


@sessions.command("explain")
@reaching
def explain_session(
    where: Where, session: SessionArgument, watch: WatchOption = False, as_json: JsonOption = False
) -> None:
    """Say why a session is where it is: each host it was given, who else was looked at, and why it left."""
    name = question(NameSession, session=session)
    present(where, lambda suite: suite.ask(EXPLAIN_SESSION, name, ANSWER_WITHIN), _why, as_json=as_json, watch=watch)


def _why(explained: SessionExplained) -> Iterable[Text]:
    yield Text(f"{explained.session_id} of {explained.zone_id}: {explained.status}, {explained.host_id}")
    for decision in explained.decisions:
        why = [decision.event, *([decision.reason] if decision.reason else [])]
        why += [f"{name}={value:g}" for name, value in decision.figures.items()]
        yield Text()
        yield Text(f"{moment(decision.occurred_at)} UTC, epoch {decision.epoch}: {' '.join(why)}")
        if decision.grounds is not None:
            yield from judgement_lines(decision.grounds.judgements)
            if others := decision.grounds.considered - len(decision.grounds.judgements):
                yield Text(f"and {others} more")


def _list(page: SessionPage) -> Iterable[Text]:
    return session_lines(page.items, "no such session")


def _particulars(shown: SessionShown) -> Iterable[Text]:
    ending = f"{moment(shown.ended_at)} UTC, {shown.end_reason}" if shown.ended_at else UNKNOWN
    yield from facts_of(
        (
            ("session", f"{shown.session_id} ({shown.id})"),
            ("status", state(shown.status)),
            ("zone", shown.zone_id),
            ("host", f"{shown.host_id}, epoch {shown.epoch}"),
            ("players", f"{shown.current_players} of {shown.max_players}"),
            *((("", player)) for player in shown.connected_players),
            ("connection", shown.connection_type),
            ("latency", number(shown.average_latency_ms, " ms")),
            ("packet loss", number(shown.average_packet_loss_percent, " %")),
            ("bandwidth", number(shown.bandwidth_usage_mbps, " Mbit/s")),
            ("began", f"{moment(shown.created_at)} UTC"),
            ("last activity", f"{moment(shown.last_activity_at)} UTC"),
            ("ended", ending),
        )
    )
    yield Text()
    yield from lines_of(HISTORY, (_event(event) for event in shown.events), room())


def _event(event: SessionEvent) -> tuple[str, ...]:
    what = [
        *(f"+{player}" for player in event.players_joined),
        *(f"-{player}" for player in event.players_left),
        *([event.reason] if event.reason else []),
        *(f"{name}={value:g}" for name, value in event.figures.items()),
    ]
    return (
        moment(event.occurred_at),
        event.event,
        event.status,
        str(event.epoch),
        " ".join(what) or UNKNOWN,
        event.trace_id or UNKNOWN,
    )
