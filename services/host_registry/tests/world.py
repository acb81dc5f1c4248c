"""host_registry's use cases on a real database, with the clock in the test's hand and no NATS."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from chassis.database import Database
from chassis.own_absence import OwnAbsence
from chassis.requests import Asked
from contracts.gateway import IceOutcome, IceState, PeerPresence, SessionsActive
from contracts.hosts import FindHosts, Host, HostPage, HostsFound, ListHosts, NameHost, RegisterHost, ReserveSlot
from contracts.probes import ProbeDue, ReportProbe, TakeProbes
from contracts.sessions import SeatsTaken, SessionFact, SessionStatus, Standby
from host_registry import answers
from host_registry.beat_keeping import BeatKeeping
from host_registry.deadlines import Patience, Silence
from host_registry.host_sockets import HostSockets
from host_registry.measuring import Measuring
from host_registry.occupancy import Occupancy
from host_registry.registration import Registration
from host_registry.selection import Selection
from host_registry.store.beats import Beat
from host_registry.store.reading import HostReader
from host_registry.witnesses import Witnesses
from testkit.clock import ManualClock
from testkit.examples import empty_session

SECOND = timedelta(seconds=1)

PATIENCE = Patience(
    suspect_after=timedelta(seconds=20),
    offline_after=timedelta(seconds=45),
    cut_off_after=timedelta(seconds=2),
    gateway_silent_after=timedelta(seconds=30),
    slot_held_for=timedelta(seconds=30),
)

PROBE_EVERY = timedelta(minutes=5)
UPLOAD_EVERY = timedelta(hours=1)

ASKED = Asked("p2p.hosts.register")


class Line:
    """The connection to NATS, as far as deadlines look at it."""

    def __init__(self) -> None:
        self.up = True


@dataclass(frozen=True)
class World:
    """Everything but the wire."""

    clock: ManualClock
    database: Database
    line: Line
    own_absence: OwnAbsence
    reader: HostReader
    registration: Registration
    beats: BeatKeeping
    silence: Silence
    host_sockets: HostSockets
    witnesses: Witnesses
    selection: Selection
    occupancy: Occupancy
    measuring: Measuring

    async def register(self, host_id: str = "host-1", **fields: Any) -> Host:
        question = RegisterHost(host_id=host_id, player_id="player-1", player_name="PlayerOne", **fields)
        return Host.model_validate_json(await self.registration.register(question, ASKED))

    async def beat(self, host_id: str = "host-1", **said: Any) -> Host:
        return Host.model_validate_json(await self.beats.beat(Beat(host_id, self.clock.now(), **said)))

    async def host(self, host_id: str = "host-1") -> Host:
        return Host.model_validate_json(await self.reader.get(host_id))

    async def page(self, **question: Any) -> HostPage:
        return HostPage.model_validate_json(answers.host_page(await self.selection.page(ListHosts(**question))))

    async def find(self, **question: Any) -> HostsFound:
        return HostsFound.model_validate_json(answers.hosts_found(await self.selection.find(FindHosts(**question))))

    async def reserve(self, session_id: str, host_id: str = "host-1", seats: int = 0) -> Host:
        question = ReserveSlot(host_id=host_id, session_id=session_id, zone_id="prontera", seats=seats)
        return Host.model_validate_json(await self.occupancy.reserve(question))

    async def slots_taken(self, host_id: str = "host-1") -> int:
        return (await self.find(host_id=host_id)).candidates[0].slots_taken

    async def drain(self, host_id: str = "host-1", run_id: str | None = None) -> bytes:
        return await self.registration.drain(NameHost(host_id=host_id, run_id=run_id))

    async def delete(self, host_id: str = "host-1", run_id: str | None = None) -> None:
        await self.registration.delete(NameHost(host_id=host_id, run_id=run_id))

    async def seats_taken(self, host_id: str = "host-1") -> int:
        return (await self.find(host_id=host_id)).candidates[0].seats_taken

    async def wait(self, span: timedelta) -> None:
        """Let time pass second by second, judging each."""
        for _ in range(int(span / SECOND)):
            self.clock.advance(SECOND)
            await self.silence.judge()

    async def told(self) -> list[dict[str, Any]]:
        """The facts in the outbox, oldest first, each with its subject."""
        rows = await self.database.fetch("test", "SELECT subject, event_id, payload FROM outbox ORDER BY seq")
        return [{"subject": row["subject"], "id": str(row["event_id"]), **json.loads(row["payload"])} for row in rows]

    async def told_subjects(self) -> list[str]:
        return [fact["subject"].removeprefix("p2p.events.hosts.") for fact in await self.told()]

    async def tell_session(self, fact: SessionFact) -> None:
        await self.occupancy.session_changed(fact)

    async def take(self, limit: int = 10) -> tuple[ProbeDue, ...]:
        return (await self.measuring.take(TakeProbes(prober="prober-1", limit=limit))).items

    async def probe(self, host_id: str = "host-1", *, ago: timedelta = 0 * SECOND, **found: Any) -> None:
        """Report what a probe found, or that it found nobody."""
        report = ReportProbe(
            host_id=host_id, prober="prober-1", probed_at=self.clock.now() - ago, reached=bool(found), **found
        )
        await self.measuring.report(report)
        await self.measuring.weigh()

    async def ice(self, state: IceState, to: str = "host-1", peer_id: str = "alice") -> None:
        await self.measuring.connection_ended(ice_outcome(state, to, peer_id))

    async def say(self, player_id: str, state: IceState, *, ago: timedelta = 0 * SECOND, **about: str) -> None:
        """A player of session-1, unless said otherwise, says how its channel to host-1 is."""
        outcome = ice_outcome(state, "host-1", player_id)
        said = {"occurred_at": self.clock.now() - ago, **about}
        await self.witnesses.channel_told(outcome.model_copy(update=said))

    async def pass_and_weigh(self, span: timedelta) -> Host:
        self.clock.advance(span)
        await self.measuring.weigh()
        return await self.host()

    async def connect(self, connection_id: str, peer_id: str = "host-1", gateway_id: str = "gw-1") -> None:
        await self.host_sockets.connected(self._peer(connection_id, peer_id, gateway_id))

    async def disconnect(
        self, connection_id: str, peer_id: str = "host-1", gateway_id: str = "gw-1", ago: timedelta = 0 * SECOND
    ) -> None:
        peer = self._peer(connection_id, peer_id, gateway_id)
        await self.host_sockets.disconnected(peer.model_copy(update={"occurred_at": self.clock.now() - ago}))

    async def gateway_lives(self, gateway_id: str = "gw-1") -> None:
        fact = SessionsActive(
            event_id=str(uuid4()),
            occurred_at=self.clock.now(),
            revision=1,
            gateway_id=gateway_id,
            session_ids=(),
        )
        await self.host_sockets.gateway_heard(fact)

    def _peer(self, connection_id: str, peer_id: str, gateway_id: str) -> PeerPresence:
        return PeerPresence(
            event_id=str(uuid4()),
            occurred_at=self.clock.now(),
            revision=1,
            gateway_id=gateway_id,
            connection_id=connection_id,
            peer_id=peer_id,
            session_id=None,
        )


def ice_outcome(state: IceState, to: str = "host-1", peer_id: str = "alice") -> IceOutcome:
    return IceOutcome(
        event_id=str(uuid4()),
        occurred_at=ManualClock().now(),
        revision=1,
        gateway_id="gw-1",
        session_id="session-1",
        peer_id=peer_id,
        to=to,
        state=state,
    )


def session_fact(
    session_id: str = "session-1",
    *,
    revision: int = 1,
    status: SessionStatus = SessionStatus.ACTIVE,
    host_id: str = "host-1",
    players: int = 0,
    host_revision: int = 1,
    latency_ms: float | None = None,
    loss_percent: float | None = None,
    at: datetime | None = None,
    standby: str | None = None,
    standby_seats: SeatsTaken | None = None,
) -> SessionFact:
    now = at or ManualClock().now()
    session = empty_session(
        session_id,
        now,
        host_id=host_id,
        host_peer_id=host_id,
        status=status,
        average_latency_ms=latency_ms,
        average_packet_loss_percent=loss_percent,
        standby=None if standby is None else Standby(host_id=standby, host_peer_id=standby),
    )
    return SessionFact(
        event_id=str(uuid4()),
        occurred_at=now,
        revision=revision,
        session_id=session_id,
        session=session,
        host_players=players,
        host_revision=host_revision,
        standby_seats=standby_seats,
    )
