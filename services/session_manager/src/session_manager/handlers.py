"""Subjects in: each request to its use case, each fact to whom it concerns."""

import json
from datetime import timedelta

from chassis.events import Consumers
from chassis.requests import Asked
from chassis.responder import Responder
from contracts.access import Role
from contracts.gateway import (
    ICE_REPORTED,
    PEER_DISCONNECTED,
    PEER_ENTERED,
    SESSIONS_ACTIVE,
    IceOutcome,
    PeerPresence,
    SessionsActive,
)
from contracts.hosts import HOST_DELETED, HOST_DRAINING, HOST_OFFLINE, HOST_ONLINE, HOST_REGISTERED, HostFact
from contracts.identifiers import HostId, PeerId, ZoneId
from contracts.jobs import JOB_DUE, JobDue, JobName
from contracts.sessions import (
    ACTIVATE_SESSION,
    CLEAN_SESSIONS,
    COUNT_SESSIONS,
    CREATE_SESSION,
    END_SESSION,
    ENTER_ZONE,
    EXPLAIN_SESSION,
    GET_CHECKPOINT,
    GET_SESSION,
    JOIN_SESSION,
    KEEP_CHECKPOINT,
    LEAVE_SESSION,
    LIST_SESSION_EVENTS,
    LIST_SESSIONS,
    MIGRATE_SESSION,
    REPORT_METRICS,
    RETELL_SESSIONS,
    CleanSessions,
    CreateSession,
    EndSession,
    EnterZone,
    JoinSession,
    LeaveSession,
    ListSessionEvents,
    ListSessions,
    MigrateSession,
    NameSession,
    ReportMetrics,
    SessionCounts,
    SessionsCleaned,
)
from contracts.streams import EVENTS, JOBS
from contracts.subjects import Nothing
from contracts.zones import ZoneFact

from session_manager.absence import Absence
from session_manager.arrivals import Arrivals
from session_manager.checkpoints import Checkpoints
from session_manager.fallback import Fallback
from session_manager.jobs import Jobs
from session_manager.lifecycle import Lifecycle
from session_manager.migration import Migration
from session_manager.seating import Seated, Seating
from session_manager.sessions import read_ref
from session_manager.store.facts import SessionJson
from session_manager.store.health import HealthStore
from session_manager.store.presence import PresenceStore
from session_manager.store.questions import QuestionStore
from session_manager.store.retelling import RetellingStore

MOST_NAMED = 1000
"""A cleanup counts all sessions that it ended, and names this many."""


class Commands:
    """Requests that change something; sessions travel as the JSON that the store made."""

    def __init__(self, lifecycle: Lifecycle, seating: Seating, arrivals: Arrivals, migration: Migration) -> None:
        self._migration = migration
        self._lifecycle = lifecycle
        self._seating = seating
        self._arrivals = arrivals

    async def create(self, question: CreateSession, asked: Asked) -> bytes:
        return await self._lifecycle.create(question, asked)

    async def join(self, question: JoinSession) -> bytes:
        ref = read_ref(question.session)
        return _seated(await self._seating.join(ref, PeerId(question.player_id), socket=question.socket))

    async def enter(self, question: EnterZone) -> bytes:
        zone_id, player_id = ZoneId(question.zone_id), PeerId(question.player_id)
        return _seated(await self._arrivals.enter(zone_id, player_id, socket=question.socket))

    async def leave(self, question: LeaveSession) -> bytes:
        ref = None if question.session is None else read_ref(question.session)
        return _outcome(await self._seating.leave(ref, PeerId(question.player_id)), "The player has left.")

    async def activate(self, question: NameSession) -> bytes:
        return _outcome(await self._lifecycle.activate(question.session), "The session is active.")

    async def end(self, question: EndSession) -> bytes:
        return _outcome(await self._lifecycle.end(question.session, question.reason), "The session has ended.")

    async def migrate(self, question: MigrateSession) -> bytes:
        ref = read_ref(question.session)
        await self._migration.order(ref, None if question.host_id is None else HostId(question.host_id))
        return _outcome(await self._lifecycle.served(ref), "The session has its host.")

    async def report(self, question: ReportMetrics, asked: Asked) -> bytes:
        caller = asked.caller
        named = caller.name if caller is not None and caller.role == Role.PLAYER else question.player_id
        player_id = None if named is None else PeerId(named)
        return _outcome(await self._lifecycle.report(question, player_id), "The metrics are noted.")

    async def clean(self, question: CleanSessions) -> SessionsCleaned:
        ended = await self._lifecycle.end_idle(timedelta(minutes=question.timeout_minutes))
        return SessionsCleaned(
            cleaned=len(ended),
            session_ids=tuple(ended[:MOST_NAMED]),
            message=f"{len(ended)} sessions without activity have ended.",
        )


class Questions:
    """Requests that change nothing."""

    def __init__(self, store: QuestionStore) -> None:
        self._store = store

    async def get(self, question: NameSession) -> bytes:
        return (await self._store.get(read_ref(question.session))).encode()

    async def list_sessions(self, question: ListSessions) -> bytes:
        return await self._store.list_sessions(question)

    async def list_events(self, question: ListSessionEvents) -> bytes:
        return await self._store.list_events(read_ref(question.session), question.limit, question.cursor)

    async def explain(self, question: NameSession) -> bytes:
        return await self._store.explain(read_ref(question.session))

    async def count(self, _: Nothing) -> SessionCounts:
        return await self._store.count()


def answer_commands(responder: Responder, commands: Commands) -> None:
    responder.answer(CREATE_SESSION, commands.create)
    responder.answer(JOIN_SESSION, commands.join)
    responder.answer(ENTER_ZONE, commands.enter)
    responder.answer(LEAVE_SESSION, commands.leave)
    responder.answer(ACTIVATE_SESSION, commands.activate)
    responder.answer(END_SESSION, commands.end)
    responder.answer(MIGRATE_SESSION, commands.migrate)
    responder.answer(REPORT_METRICS, commands.report)
    responder.answer(CLEAN_SESSIONS, commands.clean)


def answer_questions(responder: Responder, questions: Questions) -> None:
    responder.answer(GET_SESSION, questions.get)
    responder.answer(LIST_SESSIONS, questions.list_sessions)
    responder.answer(LIST_SESSION_EVENTS, questions.list_events)
    responder.answer(EXPLAIN_SESSION, questions.explain)
    responder.answer(COUNT_SESSIONS, questions.count)


def answer_checkpoints(responder: Responder, checkpoints: Checkpoints) -> None:
    responder.answer(KEEP_CHECKPOINT, checkpoints.keep)
    responder.answer(GET_CHECKPOINT, checkpoints.get)


def answer_retelling(responder: Responder, retelling: RetellingStore) -> None:
    responder.answer(RETELL_SESSIONS, retelling.retell)


def hear_hosts(consumers: Consumers, fallback: Fallback, presence: PresenceStore) -> None:
    for name, subject in (("offline", HOST_OFFLINE), ("draining", HOST_DRAINING), ("deleted", HOST_DELETED)):
        consumers.consume(EVENTS, subject.wildcard, HostFact, fallback.host_lost, name=f"host-{name}")
    # Each has a consumer of its own, so that they come in any order; revisions put them in theirs.
    for name, subject in (("online", HOST_ONLINE), ("registered", HOST_REGISTERED)):
        consumers.consume(EVENTS, subject.wildcard, HostFact, presence.found, name=f"host-{name}")


def hear_zones(consumers: Consumers, fallback: Fallback) -> None:
    consumers.consume(EVENTS, "p2p.events.zones.>", ZoneFact, fallback.zone_changed, name="zones")


def hear_gateways(consumers: Consumers, absence: Absence, health: HealthStore) -> None:
    consumers.consume(EVENTS, ICE_REPORTED.wildcard, IceOutcome, health.connection, name="ice")
    consumers.consume(EVENTS, PEER_ENTERED.wildcard, PeerPresence, absence.entered, name="peer-entered")
    consumers.consume(EVENTS, PEER_DISCONNECTED.wildcard, PeerPresence, absence.disconnected, name="peer-disconnected")
    consumers.consume(EVENTS, SESSIONS_ACTIVE.wildcard, SessionsActive, absence.active, name="sessions-active")


def hear_ticks(consumers: Consumers, jobs: Jobs) -> None:
    for job in (JobName.SESSION_CLEANUP, JobName.SESSION_HEALTH):
        consumers.consume(JOBS, JOB_DUE.of(job=job), JobDue, jobs.due, name=job)


def _seated(seated: Seated) -> bytes:
    return _outcome(seated.json, "The player has joined." if seated.new else "The player is in this session already.")


def _outcome(session: SessionJson, message: str) -> bytes:
    """Make a `SessionOutcome` of a `Session` without decoding it: one more member, before the closing brace."""
    return f'{session[:-1]}, "message": {json.dumps(message)}}}'.encode()
