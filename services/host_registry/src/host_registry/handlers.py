"""Who answers what: subjects in, use case, reply."""

from datetime import timedelta

from chassis.bus import Bus
from chassis.clock import Clock
from chassis.events import Consumers
from chassis.responder import Responder
from contracts.gateway import (
    ICE_REPORTED,
    PEER_CONNECTED,
    PEER_DISCONNECTED,
    SESSIONS_ACTIVE,
    IceOutcome,
    PeerPresence,
    SessionsActive,
)
from contracts.hosts import (
    BEAT_HOST,
    CHANGE_HOST,
    COUNT_HOSTS,
    DELETE_HOST,
    DRAIN_HOST,
    FIND_HOSTS,
    FIND_PEER_HOST,
    GET_HOST,
    LIST_HOSTS,
    REGISTER_HOST,
    RELEASE_SLOT,
    RESERVE_SLOT,
    RETELL_HOSTS,
    BeatHost,
    FindHosts,
    HostCounts,
    ListHosts,
    NameHost,
    NamePeer,
    ReleaseSlot,
)
from contracts.probes import REPORT_PROBE, TAKE_PROBES, ReportProbe
from contracts.sessions import SessionFact
from contracts.streams import EVENTS
from contracts.subjects import Nothing
from nats.aio.subscription import Subscription

from host_registry import answers
from host_registry.beat_intake import BeatIntake
from host_registry.beat_keeping import BeatKeeping
from host_registry.host_sockets import HostSockets
from host_registry.measuring import Measuring
from host_registry.occupancy import Occupancy
from host_registry.registration import Registration
from host_registry.selection import Selection
from host_registry.store.beats import Beat
from host_registry.store.reading import HostReader
from host_registry.store.retelling import RetellingStore
from host_registry.witnesses import Witnesses

GATHER = timedelta(milliseconds=20)
"""Seats weigh in the next placement; the registry's own count of slots does not wait for this."""

EVERY_HEARTBEAT = "p2p.heartbeat.>"
"""Wider than HEARTBEAT: a name that was not encoded may have any number of tokens, and is to be told as unusable."""

BEATS_WAITING = 500_000
"""Twenty seconds of 25,000 beats a second: a pause of ours loses none."""


def answer_registration(responder: Responder, registration: Registration) -> None:
    async def delete(question: NameHost) -> Nothing:
        await registration.delete(question)
        return Nothing()

    responder.answer(REGISTER_HOST, registration.register)
    responder.answer(CHANGE_HOST, registration.change)
    responder.answer(DRAIN_HOST, registration.drain)
    responder.answer(DELETE_HOST, delete)


def answer_beats(responder: Responder, beats: BeatKeeping, clock: Clock) -> None:
    async def beat(question: BeatHost) -> bytes:
        return await beats.beat(
            Beat(
                question.host_id,
                clock.now(),
                question.latency_ms,
                question.packet_loss_percent,
                question.bandwidth_usage_mbps,
                question.current_players,
                question.current_zones,
            )
        )

    responder.answer(BEAT_HOST, beat)


def answer_questions(responder: Responder, reader: HostReader, selection: Selection) -> None:
    async def get(question: NameHost) -> bytes:
        return await reader.get(question.host_id)

    async def list_hosts(question: ListHosts) -> bytes:
        return answers.host_page(await selection.page(question))

    async def find(question: FindHosts) -> bytes:
        return answers.hosts_found(await selection.find(question))

    async def of_peer(question: NamePeer) -> bytes:
        return answers.peer_host(await reader.of_peer(question.peer_id))

    async def count(_question: Nothing) -> HostCounts:
        return await reader.count()

    responder.answer(GET_HOST, get)
    responder.answer(LIST_HOSTS, list_hosts)
    responder.answer(FIND_HOSTS, find)
    responder.answer(FIND_PEER_HOST, of_peer)
    responder.answer(COUNT_HOSTS, count)


def answer_slots(responder: Responder, occupancy: Occupancy) -> None:
    async def release(question: ReleaseSlot) -> Nothing:
        await occupancy.release(question)
        return Nothing()

    responder.answer(RESERVE_SLOT, occupancy.reserve)
    responder.answer(RELEASE_SLOT, release)


def answer_probers(responder: Responder, measuring: Measuring) -> None:
    async def report(question: ReportProbe) -> Nothing:
        await measuring.report(question)
        return Nothing()

    responder.answer(TAKE_PROBES, measuring.take)
    responder.answer(REPORT_PROBE, report)


def answer_retelling(responder: Responder, retelling: RetellingStore) -> None:
    responder.answer(RETELL_HOSTS, retelling.retell)


def hear_sessions(consumers: Consumers, occupancy: Occupancy) -> None:
    consumers.consume(
        EVENTS, "p2p.events.sessions.>", SessionFact, occupancy.session_changed, name="sessions", gather=GATHER
    )


def hear_gateways(consumers: Consumers, host_sockets: HostSockets) -> None:
    connected, disconnected, active = PEER_CONNECTED.wildcard, PEER_DISCONNECTED.wildcard, SESSIONS_ACTIVE.wildcard
    consumers.consume(EVENTS, connected, PeerPresence, host_sockets.connected, name="connected")
    consumers.consume(EVENTS, disconnected, PeerPresence, host_sockets.disconnected, name="disconnected")
    consumers.consume(EVENTS, active, SessionsActive, host_sockets.gateway_heard, name="gateways")


def hear_connections(consumers: Consumers, witnesses: Witnesses, measuring: Measuring) -> None:
    async def told(outcome: IceOutcome) -> None:
        await witnesses.channel_told(outcome)
        await measuring.connection_ended(outcome)

    consumers.consume(EVENTS, ICE_REPORTED.wildcard, IceOutcome, told, name="ice")


async def hear_beats(bus: Bus, intake: BeatIntake, queue: str) -> Subscription:
    return await bus.subscribe_raw(EVERY_HEARTBEAT, intake.hear, queue=queue, pending=BEATS_WAITING)
