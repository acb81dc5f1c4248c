"""Use case: the leading scheduler asks an AI service that speaks only HTTP, within its limit.

One question at a time: a slow service is asked less, and its limit is never run into by requests that overtake another.
"""

from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from typing import Protocol

from chassis import tracing
from chassis.refusals import UnavailableError
from contracts.npcs import Environment, NpcState
from prometheus_client import Gauge

from scheduler.ai_service.allowance import Allowance
from scheduler.ai_service.breaker import Breaker, Stand
from scheduler.ai_service.client import AbsentError, AiServiceClient, NoAnswerError, Outcome
from scheduler.ai_service.complaints import Complaints
from scheduler.ai_service.played_lately import PlayedLately
from scheduler.ai_service.questions import Agenda, AskCatalogue, AskEnvironment, AskHealth, AskNpc, Question
from scheduler.ai_service.records import UnreadableError, environment_of_answer, ids_of_catalogue, npc_of_answer
from scheduler.ai_service.sayings import Sayings
from scheduler.ai_service.telling import Telling
from scheduler.ai_service.whereabouts import maps_of, zones_at
from scheduler.npc_feed.feed import Leads
from scheduler.npc_feed.played import PlayedZone

OPEN = Gauge("p2p_ai_service_breaker_open", "1 while the AI service is left alone because it failed.")

Zones = Mapping[str, PlayedZone]


class Index(Protocol):
    """Another source that knows NPCs of the played zones."""

    @property
    def speaks(self) -> bool:
        """Whether it tells of them itself at present."""
        ...

    @property
    def npc_ids(self) -> Collection[str]: ...


class Polling:
    """`round` is called some times a second and asks one question at most."""

    def __init__(
        self,
        client: AiServiceClient,
        allowance: Allowance,
        leadership: Leads,
        played: PlayedLately,
        telling: Telling,
        now: Callable[[], float],
        *,
        npcs: Mapping[str, Collection[str]],
        index: Index | None,
        every: timedelta,
        pace: float,
        share: float,
    ) -> None:
        self._client = client
        self._allowance = allowance
        self._leadership = leadership
        self._played = played
        self._telling = telling
        self._now = now
        self._configured = npcs
        self._index = index
        self._every = every.total_seconds()
        self._pace = pace
        self._share = share
        self._complaints = Complaints(now)
        self._term: int | None = None
        self._begin(0)

    async def begin_anew(self) -> None:
        """What was said may be lost: say everything again."""
        self._sayings.doubt()

    async def round(self) -> None:
        """Ask what is due, if this process leads, and say what it comes to."""
        term = self._leadership.term
        if term != self._term:
            self._term = term
            self._begin(term or 0)
        if term is None:
            return
        zones = await self._played.now()
        known = self._known(zones)
        self._attend(zones, known)
        question = self._next(zones, known)
        OPEN.set(self._breaker.stand(self._now()) is not Stand.CLOSED)
        try:
            await self._repeat(zones)
            if question is not None and (until := await self._allowance.reserve()) is not None:
                await self._ask(question, zones, until, term)
        except UnavailableError as error:  # NATS is away: the lease goes with it, and what was said is said anew
            self._complaints.note("ai_service.not_told", "away", error=str(error))

    def _begin(self, term: int) -> None:
        """Know nothing, as a new leader does."""
        self._agenda = Agenda(self._every, self._pace, term)
        self._breaker = Breaker()
        self._sayings = Sayings()
        self._environment: Environment | None = None
        self._listed: dict[str, frozenset[str]] = {}
        self._repeated_at = self._now()
        self._answered = False

    def _attend(self, zones: Zones, known: Collection[str]) -> None:
        """Let go of zones that nobody plays now, and of NPCs that the index tells of."""
        self._sayings.keep_zones(zones.keys())
        self._agenda.keep(known)
        for npc_id in set(self._sayings.npc_ids).difference(known):
            self._sayings.let_go(npc_id)

    def _known(self, zones: Zones) -> dict[str, None]:
        """The NPCs worth asking after, each once."""
        named = [
            npc_id
            for zone_id in zones
            for npc_id in (*self._configured.get(zone_id, ()), *self._listed.get(zone_id, ()))
        ]
        if self._index is None:
            return dict.fromkeys(named)
        if self._index.speaks:
            told = self._index.npc_ids
            return dict.fromkeys(npc_id for npc_id in named if npc_id not in told)
        return dict.fromkeys((*named, *self._index.npc_ids))

    def _next(self, zones: Zones, known: Collection[str]) -> Question | None:
        if not zones:
            return None
        match self._breaker.stand(self._now()):
            case Stand.OPEN:
                return None
            case Stand.TRYING:
                return AskHealth()
            case Stand.CLOSED:
                return self._agenda.next(zones, known, self._now())

    async def _ask(self, question: Question, zones: Zones, until: float, term: int) -> None:
        if self._leadership.term != term or self._now() >= until:  # the last moment to find out
            return
        self._agenda.asked(question, self._now())
        with tracing.root("ask the AI service"):
            try:
                answer = await self._client.ask(question)
            except AbsentError as absence:
                await self._absent(question, absence.outcome)
            except NoAnswerError as failure:
                self._failed(question, failure)
            else:
                if self._leadership.term == term:
                    await self._answered_with(question, answer, zones)

    async def _answered_with(self, question: Question, answer: object, zones: Zones) -> None:
        try:
            match question:
                case AskHealth():
                    self._breaker = self._breaker.says_healthy()
                    await self._doubt_settled()
                    return
                case AskNpc(npc_id):
                    await self._heard_of(npc_id, answer, zones)
                case AskEnvironment():
                    self._environment = environment_of_answer(answer)
                    await self._telling.environment(zones, self._environment)
                case AskCatalogue(zone_id):
                    self._listed[zone_id] = ids_of_catalogue(answer)
        except UnreadableError as error:
            self._complaints.note("ai_service.unreadable", type(question).__name__, reason=str(error))
            self._failed(question, NoAnswerError(Outcome.UNREADABLE))
        else:
            self._well()

    async def _heard_of(self, npc_id: str, answer: object, zones: Zones) -> None:
        state, left_out = npc_of_answer(npc_id, answer)
        if left_out:
            self._complaints.note("ai_service.fields_left_out", ",".join(left_out), npc_id=npc_id)
        self._agenda.absent.discard(npc_id)
        await self._telling.tell(self._sayings.place(state, self._whereabouts(state, zones)))

    def _whereabouts(self, state: NpcState, zones: Zones) -> Collection[str]:
        """Where its map says; the zones it was named for, as far as one of the two maps is not known."""
        named = [zone_id for zone_id in zones if state.npc_id in self._configured.get(zone_id, ())]
        if state.map is None:
            return named
        mapless = [zone_id for zone_id in named if zones[zone_id].map_name is None]
        return {*zones_at(maps_of(zones.values()), state.map), *mapless}

    async def _absent(self, question: Question, outcome: Outcome) -> None:
        """A 500 is how the service says that it does not know an NPC, and how it says that it is broken."""
        match question:
            case AskHealth():
                self._failed(question, NoAnswerError(outcome))
            case AskCatalogue() if outcome is Outcome.NO_SUCH_PATH:
                self._well()
                self._agenda.catalogues = None
            case AskNpc(npc_id):
                self._agenda.absent.add(npc_id)
                self._agenda.doubted = npc_id if npc_id in self._sayings.npc_ids else None
            case _:
                pass

    async def _doubt_settled(self) -> None:
        """The service is well, so the NPC is gone."""
        doubted, self._agenda.doubted = self._agenda.doubted, None
        if doubted is not None:
            await self._telling.tell(self._sayings.gone(doubted))

    def _well(self) -> None:
        self._breaker = Breaker()
        self._answered = True

    def _failed(self, question: Question, failure: NoAnswerError) -> None:
        if self._agenda.doubted is not None:  # it was the service
            self._agenda.absent.discard(self._agenda.doubted)
            self._agenda.doubted = None
        self._breaker = self._breaker.failed(self._now(), failure.retry_after)
        kind = f"{type(question).__name__} {failure.outcome}"
        self._complaints.note("ai_service.no_answer", kind, failures=self._breaker.failures)

    async def _repeat(self, zones: Zones) -> None:
        """Keep what is said from being forgotten, for as long as the service answers."""
        if not self._answered or self._now() - self._repeated_at < self._every:
            return
        self._answered = False
        self._repeated_at = self._now()
        await self._telling.tell(self._sayings.again(self._share))
        if self._environment is not None:
            await self._telling.environment(zones, self._environment)
