"""`p2p hosts`: the machines that host, best first; one of them with its score's parts; drained, and forgotten."""

import sys
from collections.abc import Iterable, Mapping
from typing import Annotated

import typer
from contracts.hosts import (
    DELETE_HOST,
    DRAIN_HOST,
    FIND_HOSTS,
    LIST_HOSTS,
    Candidate,
    FindHosts,
    Host,
    HostPage,
    HostStatus,
    ListHosts,
    NameHost,
)
from contracts.sessions import LIST_SESSIONS, ListSessions, Session
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
from cli.completing import host_ids
from cli.reach import Where, reaching
from cli.session_lines import session_lines
from cli.tables import Cell, Column, Tinted, facts_of, lines_of, room
from cli.tints import BAD, DOUBTFUL, GOOD, UNKNOWN, ago, moment, number, state, yes

COLUMNS = (
    Column("host"),
    Column("status"),
    Column("score", right=True),
    Column("players", right=True, leave_out=1),
    Column("zones", right=True, leave_out=2),
    Column("latency", right=True, leave_out=3),
    Column("loss", right=True, leave_out=4),
    Column("beat", right=True, leave_out=5),
    Column("known", right=True, leave_out=6),
    Column("socket", leave_out=8),
    Column("region", leave_out=7),
    Column("player", leave_out=9, stretches=True),
)

MOST_POINTS: Mapping[str, int] = {
    "latency": 30,
    "packet_loss": 20,
    "room": 25,
    "cpu": 10,
    "memory": 10,
    "network": 5,
}
"""Of each part of a score; together 100."""

GOOD_FROM, FAIR_FROM = 70, 50
"""As `quality_distribution` has them."""

MOST_SESSIONS = 1000

HostArgument = Annotated[str, typer.Argument(help="Its host_id.", metavar="HOST", autocompletion=host_ids)]

hosts = typer.Typer(invoke_without_command=True, help="See the machines that host, drain them, forget them.")


class HostShown(Candidate):
    """How a host stands, and what it hosts."""

    sessions: tuple[Session, ...]
    """Those that are neither ended nor failed."""


@hosts.callback()
@reaching
def list_hosts(
    context: typer.Context,
    where: Where,
    status: Annotated[HostStatus | None, typer.Option(help="Only hosts that stand so.")] = None,
    min_score: Annotated[float | None, typer.Option(help="Only hosts as good as this.", min=0, max=100)] = None,
    region: Annotated[str | None, typer.Option(help="Only hosts there.")] = None,
    limit: LimitOption = DEFAULT_LIMIT,
    cursor: CursorOption = None,
    watch: WatchOption = False,
    as_json: JsonOption = False,
) -> None:
    """List hosts, best score first."""
    if context.invoked_subcommand is not None:
        return
    asked = question(ListHosts, status=status, min_quality_score=min_score, region=region, cursor=cursor)
    present(where, lambda suite: collected(suite, LIST_HOSTS, asked, limit), _list, as_json=as_json, watch=watch)


@hosts.command("show")
@reaching
def show_host(where: Where, host: HostArgument, watch: WatchOption = False, as_json: JsonOption = False) -> None:
    """Show how good a host is and why, what is measured and what it claims, and its sessions."""
    name = question(FindHosts, host_id=host, rejected=True, limit=1)
    hosted = question(ListSessions, host_id=host, live=True)

    async def look(suite: Asker) -> HostShown:
        [candidate] = (await suite.ask(FIND_HOSTS, name, ANSWER_WITHIN)).candidates
        sessions = await collected(suite, LIST_SESSIONS, hosted, MOST_SESSIONS)
        return HostShown(**dict(candidate), sessions=sessions.items)

    present(where, look, _particulars, as_json=as_json, watch=watch)


@hosts.command()
@reaching
def drain(where: Where, host: HostArgument, as_json: JsonOption = False) -> None:
    """Give a host no more sessions; those it has go on until they end or find another."""
    drained = answer(where, DRAIN_HOST, question(NameHost, host_id=host))
    print(drained.model_dump_json(indent=2) if as_json else f"{host} is {drained.status}: it gets no more sessions")


@hosts.command()
@reaching
def delete(
    where: Where,
    host: HostArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
) -> None:
    """Forget a host; its sessions find another or fall back, their history stays."""
    name = question(NameHost, host_id=host)
    if not yes:
        if not sys.stdin.isatty():
            sys.exit("error: nobody is there to be asked; --yes forgets the host without")
        typer.confirm(f"Forget {host} and move its sessions?", abort=True)
    answer(where, DELETE_HOST, name)
    print(f"{host} is forgotten")


def _list(page: HostPage) -> Iterable[Text]:
    if not page.items:
        return [Text("no such host")]
    return lines_of(COLUMNS, (_row(host) for host in page.items), room())


def _row(host: Host) -> tuple[Cell, ...]:
    return (
        host.host_id,
        state(host.status),
        _score(host.quality_score),
        f"{host.current_players}/{host.max_players}",
        f"{host.current_zones}/{host.max_zones}",
        number(host.latency_ms, " ms"),
        number(host.packet_loss_percent, " %"),
        ago(host.last_heartbeat),
        f"{host.confidence:.0%}",
        yes(host.connected),
        host.region or UNKNOWN,
        host.player_name,
    )


def _score(score: float) -> Tinted:
    return Tinted(f"{score:.2f}", GOOD if score >= GOOD_FROM else DOUBTFUL if score >= FAIR_FROM else BAD)


def _particulars(shown: HostShown) -> Iterable[Text]:
    host = shown.host
    source = f"measured {ago(host.measured_at)} ago" if host.measured else "its own claim, nothing measured"
    machine = (
        number(host.cpu_cores, " cores"),
        number(host.memory_mb, " MiB"),
        f"{number(host.network_speed_mbps)} Mbit/s",
    )
    yield from facts_of(
        (
            ("host", host.host_id),
            ("status", state(host.status)),
            ("for a zone", _able(shown)),
            ("score", _score(host.quality_score)),
            *((f"  {part}", _points(part, points)) for part, points in shown.score_parts.items()),
            ("confidence", f"{host.confidence:.0%}, {source}"),
            ("latency", f"{number(host.latency_ms, ' ms')}, jitter {number(host.jitter_ms, ' ms')}"),
            ("packet loss", number(host.packet_loss_percent, " %")),
            ("upload", number(host.upload_mbps, " Mbit/s")),
            ("players", f"{shown.seats_taken} seated of {host.max_players}; it says {host.current_players}"),
            ("zones", f"{shown.slots_taken} of {host.max_zones}; it says {host.current_zones}"),
            ("machine", ", ".join(machine)),
            ("region", host.region or UNKNOWN),
            ("player", f"{host.player_name} ({host.player_id or UNKNOWN})"),
            ("peer", host.peer_id),
            ("address", f"{host.ip_address or UNKNOWN}, public {host.public_ip or UNKNOWN}"),
            ("socket", "connected" if host.connected else "none"),
            ("last beat", f"{ago(host.last_heartbeat)} ago"),
            ("registered", f"{moment(host.created_at)} UTC"),
        )
    )
    yield Text()
    yield from session_lines(shown.sessions, "no sessions")


def _able(shown: HostShown) -> Tinted:
    if not shown.rejections:
        return Tinted("able, where the zone's own bounds allow", GOOD)
    return Tinted(f"not now: {', '.join(shown.rejections)}", BAD)


def _points(part: str, points: float) -> str:
    return f"{points:.2f} of {MOST_POINTS[part]}" if part in MOST_POINTS else f"{points:.2f}"
