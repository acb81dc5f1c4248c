"""A fact, or a line of the record, in words for people."""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from contracts.access import AuditFact
from contracts.identifiers import from_token
from rich.text import Text

from cli.tables import harmless

EVERY_FACT = "p2p.events.*.*.*"

ROUTINE = frozenset({("gateway", "active"), ("jobs", "done")})
"""A gateway's word that sessions live, and a job that went well, all the time: no event to anybody."""

OWNERS = {"hosts": "host", "zones": "zone", "sessions": "session", "gateway": "gateway", "jobs": "job"}

BAD = frozenset({"offline", "failed", "fell-back", "deleted"})
DOUBTFUL = frozenset({"suspect", "draining", "migrating"})
GOOD = frozenset({"online", "registered", "migrated", "created", "activated"})

MOST_PLAYERS = 8
"""Named in one line; of the others it says how many."""

_ITS_OWN = ("peer_id", "session_id", "host_id", "to", "state", "candidate_type", "reason")


def is_routine(subject: str) -> bool:
    """Whether only those care who ask for it."""
    _, _, owner, *_, what = subject.split(".")
    return (owner, what) in ROUTINE


def fact_line(subject: str, body: bytes) -> Text:
    """When, what it happened to, what happened and how it stands."""
    _, _, owner, token, what = subject.split(".")
    thing = from_token(token)
    fact: Mapping[str, Any] = json.loads(body)
    at = datetime.fromisoformat(fact["occurred_at"])
    return Text.assemble(
        (f"{at:%Y-%m-%d %H:%M:%S}  ", "dim"),
        f"{OWNERS.get(owner, owner):<7}  ",
        (f"{what:<13}  ", _tint(what)),
        harmless("  ".join((thing, *_particulars(fact, thing)))),
        no_wrap=True,
    )


def record_line(body: bytes) -> Text:
    """When, what was done, by whom, to whom."""
    fact = AuditFact.model_validate_json(body)
    words = [f"{fact.action:<18}", f"{fact.role} {fact.name}"]
    if fact.target is not None:
        words.append(f"-> {fact.target}")
    if fact.detail is not None:
        words.append(f"({fact.detail})")
    if fact.count > 1:
        words.append(f"x {fact.count}")
    return Text.assemble((f"{fact.occurred_at:%Y-%m-%d %H:%M:%S}  ", "dim"), harmless("  ".join(words)), no_wrap=True)


def _particulars(fact: Mapping[str, Any], thing: str) -> Iterator[str]:
    yield from _players("+", fact.get("players_joined"))
    yield from _players("-", fact.get("players_left"))
    for name in _ITS_OWN:
        if fact.get(name) not in {None, thing}:
            yield f"{name.removesuffix('_id')} {fact[name]}"
    if fact.get("detail"):
        yield fact["detail"]
    if fact.get("elapsed_ms") is not None:
        yield f"{fact['elapsed_ms']:g} ms"
    if fact.get("quality_score") is not None:
        yield f"score {fact['quality_score']:g}"
    if session := fact.get("session"):
        yield f"zone {session['zone_id']}"
        yield f"host {session['host_id']}"
        yield f"epoch {session['epoch']}"
        yield f"{session['current_players']}/{session['max_players']} players"
    if host := fact.get("host"):
        yield f"score {host['quality_score']:g}"
        if host.get("region"):
            yield f"region {host['region']}"
    if zone := fact.get("zone"):
        yield zone["status"]
        yield "p2p on" if zone["p2p_enabled"] else "p2p off"


def _players(sign: str, names: list[str] | None) -> Iterator[str]:
    names = names or []
    yield from (f"{sign}{name}" for name in names[:MOST_PLAYERS])
    if len(names) > MOST_PLAYERS:
        yield f"{sign} {len(names) - MOST_PLAYERS} more"


def _tint(what: str) -> str:
    return "red" if what in BAD else "yellow" if what in DOUBTFUL else "green" if what in GOOD else ""
