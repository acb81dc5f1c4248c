"""A session's life: created on a host that zone_manager chose, activated, reported on, ended or failed."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from chassis.clock import Clock
from chassis.database import Database, Transaction
from chassis.idempotency import once, recall
from chassis.refusals import UnavailableError
from chassis.requests import Asked
from contracts.identifiers import HostId, PeerId, SessionId, ZoneId
from contracts.sessions import CREATE_SESSION, CreateSession, ReportMetrics, SessionStatus

from session_manager.errors import WrongStateError
from session_manager.sessions import (
    Ref,
    activates,
    check_epoch,
    check_fits_zone,
    check_new,
    moves,
    read_ref,
    room_of_new,
)
from session_manager.store.facts import SessionJson
from session_manager.store.seats import MovedOnError
from session_manager.store.sessions import NewSession, SessionStore
from session_manager.zone_policies import ZonePolicies
from session_manager.zones import Zones

TRIES = 10
"""Each try that fails means that somebody else's change succeeded in between."""

PAUSES = 3
"""After each bite of a cleanup that nobody waits for, so many times as long as it took: players who join have most of
PostgreSQL, and whoever hears of the ends keeps up."""

MOST_PAUSE_S = 0.2

IDLE = "idle"
EMPTY = "empty"


class Lifecycle:
    """Commands to sessions, except those about seats."""

    def __init__(
        self, database: Database, zones: Zones, policies: ZonePolicies, clock: Clock, *, report_counts_for: timedelta
    ) -> None:
        self._database = database
        self._sessions = SessionStore(database)
        self._zones = zones
        self._policies = policies
        self._clock = clock
        self._report_counts_for = report_counts_for

    async def create(self, question: CreateSession, asked: Asked) -> bytes:
        """Always make a new session; repeated under the same idempotency key, give the first one."""
        check_new(question.player_ids, question.max_players)
        first = await recall(self._database, asked, question)
        if first is not None:
            return first
        if question.max_players is not None:  # before a host's slot is held for nothing
            check_fits_zone(question.max_players, await self._zones.max_players(ZoneId(question.zone_id)))
        new = await self._place(question, socket=False)
        if asked.idempotency_key is None:
            created = await self._sessions.create(new, self._clock.now())
            if created is not None:
                return created.encode()
        return await self._create_moving(question, new, asked)

    async def found(self, zone_id: ZoneId, player_id: PeerId, *, socket: bool, exclude: Sequence[HostId] = ()) -> bytes:
        """Make a session for the first who enters a zone, on none of the hosts of `exclude`."""
        question = CreateSession(zone_id=zone_id, player_ids=(player_id,))
        new = await self._place(question, socket=socket, exclude=exclude)
        created = await self._sessions.create(new, self._clock.now())
        if created is not None:
            return created.encode()
        return await self._create_moving(question, new, Asked(CREATE_SESSION.subject))

    async def activate(self, session: str) -> SessionJson:
        ref = read_ref(session)
        for _ in range(TRIES):
            activated = await self._sessions.activate(ref, self._clock.now())
            if activated is not None:
                return activated
            state, json = await self._sessions.state(ref)
            if not activates(state):
                return json
        raise _too_busy(session)

    async def end(self, session: str, reason: str) -> SessionJson:
        """End a session and free its seats; the second end changes nothing."""
        ref = read_ref(session)
        for _ in range(TRIES):
            ended = await self._sessions.end(ref, SessionStatus.ENDED, reason, self._clock.now())
            if ended is not None:
                return ended
            state, json = await self._sessions.state(ref)
            if not moves(state, SessionStatus.ENDED):
                return json
        raise _too_busy(session)

    async def served(self, ref: Ref) -> SessionJson:
        """The session, as it is served by a host; WrongStateError where none serves it."""
        state, json = await self._sessions.state(ref)
        if state.status is not SessionStatus.ACTIVE:
            raise WrongStateError(state.session_id, state.status)
        return json

    async def report(self, report: ReportMetrics, player_id: PeerId | None = None) -> SessionJson:
        """Keep the last report of each measure; what a player says is one word among the players'."""
        ref, now = read_ref(report.session), self._clock.now()
        reported = await self._sessions.report(
            ref, report, now, player_id=player_id, words_since=now - self._report_counts_for
        )
        if reported is not None:
            return reported
        state, _ = await self._sessions.state(ref)
        check_epoch(state, report.epoch)
        raise WrongStateError(state.session_id, state.status)

    async def end_idle(self, after: timedelta, *, gently: bool = False) -> list[str]:
        """End every session without activity for this long; gently: where nobody waits for it, but others join."""
        now = self._clock.now()
        return await _all_batches(lambda: self._sessions.end_idle(now - after, IDLE, now), gently=gently)

    async def end_empty(self, after: timedelta, *, gently: bool = False) -> list[str]:
        """End every session without players for this long."""
        now = self._clock.now()
        return await _all_batches(lambda: self._sessions.end_empty(now - after, EMPTY, now), gently=gently)

    async def _place(self, question: CreateSession, *, socket: bool, exclude: Sequence[HostId] = ()) -> NewSession:
        session_id = SessionId(f"session-{secrets.token_hex(8)}")
        players = tuple(PeerId(player_id) for player_id in question.player_ids)
        host_id = None if question.host_id is None else HostId(question.host_id)
        place = await self._zones.place(ZoneId(question.zone_id), session_id, players, host_id, exclude)
        await self._policies.placed(place)
        return NewSession(
            session_id=session_id,
            place=place,
            max_players=room_of_new(session_id, place, players, question.max_players),
            player_ids=players,
            socket=socket,
        )

    async def _create_moving(self, question: CreateSession, new: NewSession, asked: Asked) -> bytes:
        async def create(transaction: Transaction) -> bytes:
            created = await self._sessions.create_moving(new, self._clock.now(), transaction)
            return created.encode()

        for _ in range(TRIES):
            try:
                return await once(self._database, asked, question, create)
            except MovedOnError:
                continue
        raise _too_busy(new.session_id)


async def _all_batches(batch: Callable[[], Awaitable[list[str]]], *, gently: bool) -> list[str]:
    finished: list[str] = []
    began = time.monotonic()
    while session_ids := await batch():
        finished += session_ids
        if gently:
            await asyncio.sleep(min(PAUSES * (time.monotonic() - began), MOST_PAUSE_S))
            began = time.monotonic()
    return finished


def _too_busy(session: str) -> UnavailableError:
    return UnavailableError(f"Session {session} changes too fast at the moment; try again.", retry_after_s=0.1)
