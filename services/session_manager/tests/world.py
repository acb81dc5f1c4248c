"""session_manager without its edges: its use cases on a real database, time and zone_manager in the test's hand."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from chassis.clock import Clock
from chassis.database import Database
from chassis.refusals import RefusedError
from chassis.requests import Asked
from contracts.identifiers import HostId, PeerId, SessionId, ZoneId
from contracts.refusals import Code, Refusal
from contracts.sessions import CREATE_SESSION, CreateSession, Grounds, Session, SessionFact
from contracts.zones import Judgement
from pydantic import JsonValue
from session_manager.absence import Absence
from session_manager.arrivals import Arrivals
from session_manager.fallback import PLACED_WITHIN, Fallback, Patience
from session_manager.guarding import Guarding
from session_manager.jobs import Jobs
from session_manager.lifecycle import Lifecycle
from session_manager.migration import Migration
from session_manager.policies import UNLESS_SAID, ZonePolicy
from session_manager.returning import Returning
from session_manager.seating import Seating
from session_manager.sessions import PlacedHost, read_ref
from session_manager.store.claims import ClaimStore
from session_manager.store.fallback import FallbackStore
from session_manager.store.health import HealthStore
from session_manager.store.hostless import HostlessStore
from session_manager.store.policies import PolicyStore
from session_manager.store.presence import PresenceStore
from session_manager.store.questions import QuestionStore
from session_manager.store.runs import RunStore
from session_manager.store.seats import SeatStore
from session_manager.store.sessions import SessionStore
from session_manager.store.standbys import StandbyStore
from session_manager.zone_policies import ZonePolicies

GRACE = timedelta(seconds=30)
SILENCE = timedelta(seconds=30)
IDLE = timedelta(minutes=30)
EMPTY = timedelta(minutes=10)
UNHEALTHY = timedelta(seconds=60)
COUNTS = timedelta(seconds=90)
MOST_LOSS = 10.0
RETURN = timedelta(seconds=60)
CLAIM = timedelta(seconds=4)
GIVE_UP = timedelta(seconds=10)


def grounds_of(host_id: str) -> str:
    """Why it was chosen: there was no other."""
    chosen = Judgement(
        host_id=host_id,
        chosen=True,
        rejections=(),
        quality_score=80,
        confidence=1,
        score_parts={},
        seats_free=1,
        slots_free=1,
        worst_round_trip_ms=None,
    )
    return Grounds(judgements=(chosen,), considered=1).model_dump_json()


@dataclass
class FakeZones:
    """Places everything on the host that was asked for, else on `host`; remembers what it was asked."""

    host: str = "host-1"
    host_max_players: int = 50
    zone_max_players: int = 100
    unknown: frozenset[str] = frozenset({"nowhere"})
    spare: bool = True
    """Whether `host` also takes sessions that have left another."""
    refusal: Code | None = None
    rejected_counts: dict[str, int] = field(default_factory=dict)
    policy: ZonePolicy = UNLESS_SAID
    able: list[str] = field(default_factory=list)
    ranking_refusals: dict[str, Code] = field(default_factory=dict)
    excluded: list[tuple[str, ...]] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)
    """Of hosts that were deleted and registered again; 1 of all others."""
    places: list[str] = field(default_factory=list)
    answering: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.answering.set()

    async def place(
        self,
        zone_id: ZoneId,
        session_id: SessionId,
        player_ids: Sequence[PeerId],
        host_id: HostId | None,
        exclude: Sequence[HostId] = (),
    ) -> PlacedHost:
        self.places.append(zone_id)
        self.excluded.append(tuple(exclude))
        await self.answering.wait()
        if self.refusal is not None:
            counts: dict[str, JsonValue] = dict(self.rejected_counts)
            raise RefusedError(Refusal(code=self.refusal, detail="No.", fields={"rejected_counts": counts}))
        able = [host for host in self.able if host not in exclude]
        chosen = host_id or HostId(able[0] if able else self.host)
        if host_id is None and (chosen in exclude or (exclude and not able and not self.spare)):
            raise RefusedError(Refusal(code=Code.NO_HOST_FREE, detail="No."))
        return PlacedHost(
            zone_id=zone_id,
            zone_max_players=await self.max_players(zone_id),
            policy=self.policy,
            host_id=chosen,
            host_peer_id=PeerId(f"peer-of-{chosen}"),
            host_max_players=self.host_max_players,
            host_number=self.numbers.get(chosen, 1),
            grounds=grounds_of(chosen),
        )

    async def able_hosts(self, zone_id: ZoneId) -> list[HostId]:
        if zone_id in self.ranking_refusals:
            raise RefusedError(Refusal(code=self.ranking_refusals[zone_id], detail="No."))
        return [HostId(host) for host in self.able]

    async def max_players(self, zone_id: ZoneId) -> int:
        if zone_id in self.unknown:
            raise RefusedError(Refusal(code=Code.ZONE_NOT_FOUND, detail="No such zone."))
        return self.zone_max_players


@dataclass(frozen=True)
class World:
    """One instance of the service; several on one database are several instances."""

    database: Database
    zones: FakeZones
    lifecycle: Lifecycle
    seating: Seating
    arrivals: Arrivals
    absence: Absence
    fallback: Fallback
    migration: Migration
    returning: Returning
    policies: ZonePolicies
    health: HealthStore
    jobs: Jobs
    presence: PresenceStore
    questions: QuestionStore
    hearing: asyncio.Event
    guarding: Guarding

    async def create(self, zone: str = "prontera", **fields: object) -> Session:
        question = CreateSession.model_validate({"zone_id": zone, **fields})
        return Session.model_validate_json(await self.lifecycle.create(question, Asked(CREATE_SESSION.subject)))

    async def join(self, session: str, player: str, *, socket: bool = False) -> Session:
        seated = await self.seating.join(read_ref(session), PeerId(player), socket=socket)
        return Session.model_validate_json(seated.json)

    async def enter(self, player: str, zone: str = "prontera", *, socket: bool = False) -> Session:
        seated = await self.arrivals.enter(ZoneId(zone), PeerId(player), socket=socket)
        return Session.model_validate_json(seated.json)

    async def leave(self, session: str | None, player: str) -> Session:
        ref = None if session is None else read_ref(session)
        return Session.model_validate_json(await self.seating.leave(ref, PeerId(player)))

    async def end(self, session: str, reason: str = "normal") -> Session:
        return Session.model_validate_json(await self.lifecycle.end(session, reason))

    async def get(self, session: str) -> Session:
        return Session.model_validate_json(await self.questions.get(read_ref(session)))

    async def told(self) -> list[tuple[str, SessionFact]]:
        """The facts in the outbox: the last token of the subject, and the fact."""
        sessions = "SELECT subject, payload FROM outbox WHERE subject LIKE 'p2p.events.sessions.%' ORDER BY seq"
        rows = await self.database.fetch("outbox.sessions", sessions)
        return [(row["subject"].rpartition(".")[2], SessionFact.model_validate_json(row["payload"])) for row in rows]

    async def told_of(self, session_id: str) -> list[tuple[str, SessionFact]]:
        return [(event, fact) for event, fact in await self.told() if fact.session_id == session_id]

    async def forget_told(self) -> None:
        await self.database.execute("outbox.clear", "DELETE FROM outbox")


def make_world(
    database: Database,
    clock: Clock,
    zones: FakeZones,
    instance: str = "one",
    *,
    fallback_allowed: bool = True,
    p2p_allowed: bool = True,
) -> World:
    seats, sessions, presence = SeatStore(database), SessionStore(database), PresenceStore(database)
    policies = ZonePolicies(PolicyStore(database))
    lifecycle = Lifecycle(database, zones, policies, clock, report_counts_for=COUNTS)
    health, hosts = HealthStore(database), FallbackStore(database, allowed=fallback_allowed)
    hostless = HostlessStore(database, fallback_allowed=fallback_allowed)
    standbys = StandbyStore(database, lost_within=PLACED_WITHIN)
    guarding = Guarding(standbys, zones, clock, claim_for=CLAIM, return_after=RETURN)
    migration = Migration(hostless, standbys, zones, clock, claim_for=CLAIM, give_up_after=GIVE_UP, return_after=RETURN)
    patience = Patience(UNHEALTHY, COUNTS, MOST_LOSS)
    fallback = Fallback(hosts, health, presence, policies, migration, clock, patience, p2p_allowed=p2p_allowed)
    returning = Returning(hostless, hosts, zones, clock, RETURN)
    seating = Seating(seats, clock)
    hearing = asyncio.Event()
    hearing.set()
    absence = Absence(seats, presence, sessions, clock, grace=GRACE, gateway_silence=SILENCE, hears=hearing.is_set)
    arrivals = Arrivals(
        seats,
        ClaimStore(database),
        seating,
        lifecycle,
        clock,
        instance=instance,
        claim_for=timedelta(seconds=2),
    )
    jobs = Jobs(RunStore(database), lifecycle, fallback, returning, clock, idle_after=IDLE, empty_after=EMPTY)
    return World(
        database,
        zones,
        lifecycle,
        seating,
        arrivals,
        absence,
        fallback,
        migration,
        returning,
        policies,
        health,
        jobs,
        presence,
        QuestionStore(database),
        hearing,
        guarding,
    )


BROKEN = {
    "a session whose row and seats differ": """
        SELECT s.session_id, s.connected_players FROM sessions s
        WHERE ARRAY(SELECT unnest(s.connected_players) ORDER BY 1)
            <> ARRAY(SELECT player_id FROM seats WHERE session = s.id ORDER BY 1)
    """,
    "a seat in no session": "SELECT * FROM seats WHERE session NOT IN (SELECT id FROM sessions)",
    "a session with more players than room": "SELECT * FROM sessions WHERE current_players > max_players",
    "a finished session with players": "SELECT * FROM sessions WHERE NOT live AND current_players > 0",
    "a host whose count is not its sessions'": """
        SELECT h.host_id, h.taken FROM host_seats h
        WHERE taken <> (SELECT coalesce(sum(current_players), 0) FROM sessions s
            WHERE s.host_id = h.host_id AND s.status NOT IN ('migrating', 'fallback'))
            + (SELECT coalesce(sum(standby_seats), 0) FROM sessions s WHERE s.standby_host_id = h.host_id)
    """,
    "a session that stands by for itself, or is over and has a standby": """
        SELECT session_id FROM sessions WHERE standby_host_id = host_id OR NOT live AND standby_host_id IS NOT NULL
    """,
    "totals that are not the sum": """
        SELECT * FROM
            (SELECT sum(total) AS total, sum(live) AS live, sum(players) AS players, sum(latency_us) AS latency_us,
                sum(latencies) AS latencies FROM session_counts) counted,
            (SELECT count(*) AS total, count(*) FILTER (WHERE live) AS live,
                coalesce(sum(current_players), 0) AS players,
                coalesce(sum(round(average_latency_ms * 1000)) FILTER (WHERE live), 0) AS latency_us,
                count(average_latency_ms) FILTER (WHERE live) AS latencies FROM sessions) summed
        WHERE (counted.total, counted.live, counted.players, counted.latency_us, counted.latencies)
            <> (summed.total, summed.live, summed.players, summed.latency_us, summed.latencies)
    """,
    "a fact without history or history without a fact": """
        SELECT coalesce(e.session::text, o.payload ->> 'session_id'), e.event, o.subject
        FROM session_events e FULL JOIN outbox o
            ON (o.payload -> 'session' ->> 'id')::bigint = e.session AND (o.payload ->> 'revision')::bigint = e.revision
        WHERE (o.seq IS NULL OR e.session IS NULL) AND coalesce(o.subject, '') NOT LIKE 'p2p.events.jobs.%'
    """,
}
"""What must never be found, each with the query that would find it; the outbox must not have been emptied."""


async def assert_sound(database: Database) -> None:
    for broken, query in BROKEN.items():
        rows = await database.fetch(f"check {broken}", query)
        assert not rows, f"{broken}: {json.dumps([dict(row) for row in rows], default=str)}"


async def empty(database: Database) -> None:
    """Leave nothing of what was there before."""
    tables = (
        "sessions, seats, host_seats, session_events, outbox, lost_hosts, gateways, zone_claims, idempotency, "
        "job_runs, zone_policies, unwell_sessions, unreached_hosts, able_hosts, left_hosts, checkpoints, "
        "discarded_checkpoints"
    )
    await database.execute("empty", f"TRUNCATE {tables}")
    await database.execute(
        "zero", "UPDATE session_counts SET total = 0, live = 0, players = 0, latency_us = 0, latencies = 0"
    )
