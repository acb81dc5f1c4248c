"""`p2p zones`: which there are and what they ask of hosts; why a host would serve one; switched on and off."""

from collections.abc import Iterable
from typing import Annotated

import typer
from contracts.zones import (
    EXPLAIN_ZONE,
    GET_ZONE,
    LIST_ZONES,
    SET_ZONE_P2P,
    SET_ZONE_STATUS,
    ExplainZone,
    ListZones,
    NameZone,
    SetZoneP2p,
    SetZoneStatus,
    Zone,
    ZoneExplained,
    ZonePage,
    ZoneStatus,
)
from rich.text import Text

from cli.answers import (
    ANSWER_WITHIN,
    DEFAULT_LIMIT,
    CursorOption,
    JsonOption,
    LimitOption,
    WatchOption,
    answer,
    collected,
    present,
    question,
)
from cli.completing import zone_ids
from cli.judgement_lines import judgement_lines
from cli.reach import Where, reaching
from cli.tables import Cell, Column, Tinted, facts_of, lines_of, room
from cli.tints import BAD, GOOD, UNKNOWN, number, state, yes

COLUMNS = (
    Column("zone"),
    Column("status"),
    Column("p2p"),
    Column("sessions", right=True, leave_out=1),
    Column("served", right=True, leave_out=3),
    Column("priority", right=True, leave_out=4),
    Column("players", right=True, leave_out=2),
    Column("min score", right=True, leave_out=5),
    Column("max latency", right=True, leave_out=6),
    Column("fallback", leave_out=7),
    Column("name", leave_out=8, stretches=True),
)

ZoneArgument = Annotated[str, typer.Argument(help="Its zone_id.", metavar="ZONE", autocompletion=zone_ids)]
P2pOption = Annotated[bool, typer.Option("--p2p", help="Not the zone, but that hosts may serve it.")]

zones = typer.Typer(invoke_without_command=True, help="See the zones and who could serve them, switch them on and off.")


@zones.callback()
@reaching
def list_zones(
    context: typer.Context,
    where: Where,
    status: Annotated[ZoneStatus | None, typer.Option(help="Only zones that stand so.")] = None,
    p2p: Annotated[bool | None, typer.Option(help="Only zones that hosts may serve, or may not.")] = None,
    limit: LimitOption = DEFAULT_LIMIT,
    cursor: CursorOption = None,
    watch: WatchOption = False,
    as_json: JsonOption = False,
) -> None:
    """List zones, by priority and name."""
    if context.invoked_subcommand is not None:
        return
    asked = question(ListZones, status=status, p2p_enabled=p2p, cursor=cursor)
    present(where, lambda suite: collected(suite, LIST_ZONES, asked, limit), _list, as_json=as_json, watch=watch)


@zones.command("show")
@reaching
def show_zone(where: Where, zone: ZoneArgument, watch: WatchOption = False, as_json: JsonOption = False) -> None:
    """Show what a zone asks of its hosts, and how it is played."""
    name = question(NameZone, zone_id=zone)
    present(where, lambda suite: suite.ask(GET_ZONE, name, ANSWER_WITHIN), _particulars, as_json=as_json, watch=watch)


@zones.command()
@reaching
def explain(
    where: Where,
    zone: ZoneArgument,
    player: Annotated[list[str] | None, typer.Option(help="Who would join, once or more.", metavar="PLAYER")] = None,
    watch: WatchOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show which host would get the zone's next session, and why the others would not."""
    asked = question(ExplainZone, zone_id=zone, players=tuple(player) if player else None)
    present(where, lambda suite: suite.ask(EXPLAIN_ZONE, asked, ANSWER_WITHIN), _judged, as_json=as_json, watch=watch)


@zones.command()
@reaching
def enable(where: Where, zone: ZoneArgument, p2p: P2pOption = False, as_json: JsonOption = False) -> None:
    """Let a zone take new sessions again."""
    _switch(where, zone, on=True, p2p=p2p, as_json=as_json)


@zones.command()
@reaching
def disable(where: Where, zone: ZoneArgument, p2p: P2pOption = False, as_json: JsonOption = False) -> None:
    """Let a zone take no new sessions; those it has go on."""
    _switch(where, zone, on=False, p2p=p2p, as_json=as_json)


def _switch(where: Where, zone_id: str, *, on: bool, p2p: bool, as_json: bool) -> None:
    if p2p:
        zone = answer(where, SET_ZONE_P2P, question(SetZoneP2p, zone_id=zone_id, p2p_enabled=on))
        said = "hosts may serve it" if zone.p2p_enabled else "hosts do not serve it, the central server does"
    else:
        status = ZoneStatus.ENABLED if on else ZoneStatus.DISABLED
        zone = answer(where, SET_ZONE_STATUS, question(SetZoneStatus, zone_id=zone_id, status=status))
        said = "it takes new sessions" if on else "it takes no new sessions"
    print(zone.model_dump_json(indent=2) if as_json else f"{zone.zone_id} is {zone.status}: {said}")


def _list(page: ZonePage) -> Iterable[Text]:
    if not page.items:
        return [Text("no such zone")]
    return lines_of(COLUMNS, (_row(zone) for zone in page.items), room())


def _row(zone: Zone) -> tuple[Cell, ...]:
    return (
        zone.zone_id,
        state(zone.status),
        _switched(zone.p2p_enabled),
        str(zone.active_sessions),
        str(zone.total_players_served),
        str(zone.p2p_priority),
        str(zone.max_players),
        number(zone.min_host_quality_score),
        f"{zone.max_latency_ms} ms",
        _fallback(zone),
        zone.zone_display_name,
    )


def _switched(on: bool) -> Tinted:
    return Tinted("on", GOOD) if on else Tinted("off", BAD)


def _fallback(zone: Zone) -> str:
    return zone.fallback_endpoint or ("client's" if zone.fallback_enabled else "none")


def _particulars(zone: Zone) -> Iterable[Text]:
    return facts_of(
        (
            ("zone", zone.zone_id),
            ("name", f"{zone.zone_display_name} ({zone.zone_name})"),
            ("map", zone.map_name),
            ("status", state(zone.status)),
            ("p2p", _switched(zone.p2p_enabled)),
            ("priority", str(zone.p2p_priority)),
            ("players", f"{zone.max_players} at most, {zone.recommended_players} recommended"),
            ("sessions", f"{zone.active_sessions} now, {zone.total_sessions} in all"),
            ("served", f"{zone.total_players_served} players"),
            ("asks of hosts", f"score from {number(zone.min_host_quality_score)}"),
            ("", f"{zone.min_bandwidth_mbps} Mbit/s"),
            ("", f"latency up to {zone.max_latency_ms} ms"),
            ("", f"region {', '.join(zone.regions) or 'any'}"),
            ("relay only", yes(zone.relay_only)),
            ("fallback", _fallback(zone)),
            ("standby", yes(zone.standby)),
            ("checkpoints", f"every {zone.checkpoint_interval_s} s" if zone.checkpoint_interval_s else UNKNOWN),
            (
                "NPC feed",
                f"every {zone.npc_feed_interval_s:g} s" if zone.npc_feed_interval_s else "as scheduler is set",
            ),
            ("description", zone.description or UNKNOWN),
        )
    )


def _judged(explained: ZoneExplained) -> Iterable[Text]:
    if explained.judgements:
        yield from judgement_lines(explained.judgements)
    else:
        yield Text("there is no host")
    for code, count in explained.rejected_counts.items():
        yield Text(f"and {count} that are not shown: {code}")
