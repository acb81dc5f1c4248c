"""The HTTP adapter against an AI service as the wire contract describes it, on real NATS."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from chassis.bus import Bus
from contracts.npcs import Source
from prometheus_client import REGISTRY
from scheduler.ai_service.allowance import Allowance
from scheduler.ai_service.budget import COUNTS_FOR_S, pace
from scheduler.ai_service.client import API_KEY, open_client
from scheduler.ai_service.played_lately import PlayedLately
from scheduler.ai_service.polling import Polling
from scheduler.ai_service.questions import ABSENT_EVERY_S, ENVIRONMENT_EVERY_S
from scheduler.ai_service.telling import Telling
from scheduler.bucket import Bucket
from structlog.testing import capture_logs

from services.scheduler.tests.ai_service.conftest import Leading, Played, Said, Time
from services.scheduler.tests.ai_service.fake import (
    SECRET_TEXTS,
    Answer,
    FakeAiService,
    broken,
    elsewhere,
    fake_ai_service,
    garbage,
    hangs_up,
    html,
    never,
    ten_megabytes,
)

EVERY = timedelta(seconds=5)
STEP_S = 1.0


class Adapter:
    """Rounds as a loop makes them, with the time between in a test's hand."""

    def __init__(self, polling: Polling, bus: Bus, time: Time) -> None:
        self._polling = polling
        self._bus = bus
        self._time = time

    async def rounds(self, times: int, step: float = STEP_S) -> None:
        for _ in range(times):
            await self._polling.round()
            self._time.ahead += step
        await self._bus.settle()


Adapters = Callable[..., AbstractAsyncContextManager[Adapter]]


class Index:
    """Another source that knows some NPCs."""

    def __init__(self, *npc_ids: str) -> None:
        self.npc_ids = npc_ids
        self.speaks = True


@pytest.fixture
async def service() -> AsyncIterator[FakeAiService]:
    async with fake_ai_service({"guard": {"map": "prontera", "x": 1, "y": 2}, "smith": {"map": "prontera"}}) as fake:
        yield fake


@pytest.fixture
def adapters(bus: Bus, leading: Leading, time: Time, service: FakeAiService) -> Adapters:
    @asynccontextmanager
    async def started(
        *npcs: str, limit: int = 90, played: Played | None = None, index: Index | None = None, key: str = ""
    ) -> AsyncIterator[Adapter]:
        async with open_client(service.url, key) as client:
            polling = Polling(
                client,
                Allowance(Bucket(bus), limit, time),
                leading,
                PlayedLately(played or Played(prontera="prontera"), time),
                Telling(bus, Source.HTTP),
                time,
                npcs={"prontera": npcs},
                index=index,
                every=EVERY,
                pace=pace(limit),
                share=1 / 60,
            )
            yield Adapter(polling, bus, time)

    return started


async def test_what_the_service_knows_is_said_and_nothing_private(
    adapters: Adapters, service: FakeAiService, said: Said
):
    async with adapters("guard", "smith") as adapter:
        await adapter.rounds(10)
    assert said.states("guard")[0] | {"updated_at": ""} == {
        "npc_id": "guard",
        "npc_class": "guard",
        "level": 10,
        "status": "idle",
        "map": "prontera",
        "x": 1.0,
        "y": 2.0,
        "updated_at": "",
        "in": "prontera",
    }
    assert said.states("smith")
    assert said.environments()[0] == {
        "weather": "rain",
        "time_of_day": "night",
        "season": "winter",
        "resource_availability": {"wood": 0.5},
    }
    assert {text: said.mentions(text) for text in SECRET_TEXTS if said.mentions(text)} == {}


async def test_the_key_is_sent_and_our_traces_are_not(adapters: Adapters, service: FakeAiService):
    async with adapters("guard", key="of-the-service") as adapter:
        await adapter.rounds(4)
    assert {headers[API_KEY] for headers in service.headers} == {"of-the-service"}
    assert not [headers for headers in service.headers if "traceparent" in map(str.lower, headers)]


async def test_zones_nobody_plays_cost_no_request(adapters: Adapters, service: FakeAiService):
    async with adapters("guard", played=Played()) as adapter:
        await adapter.rounds(10)
    assert service.asked == []


async def test_whoever_does_not_lead_asks_nothing(adapters: Adapters, service: FakeAiService, leading: Leading):
    leading.term = None
    async with adapters("guard") as adapter:
        await adapter.rounds(10)
    assert service.asked == []


async def test_a_url_that_is_not_there_is_asked_for_once(adapters: Adapters, service: FakeAiService):
    async with adapters("guard", played=Played(prontera="prontera", geffen="geffen")) as adapter:
        await adapter.rounds(400)
    assert service.asked_for("/api/world/zones/") == ["/api/world/zones/prontera/npcs"]
    assert service.asked_for("/ai/npc/guard/state")


async def test_the_budget_is_kept_by_two_leaders_together(adapters: Adapters, service: FakeAiService, leading: Leading):
    many = [f"npc-{number}" for number in range(40)]
    async with adapters(*many, limit=20) as first, adapters(*many, limit=20) as second:
        await first.rounds(15, step=0)
        leading.term = 8
        await second.rounds(40, step=0)
        assert len(service.asked) == 20
        await first.rounds(2, step=0)  # it finds that another asked, and how often
        await first.rounds(1, step=COUNTS_FOR_S)
        await first.rounds(1)
    assert len(service.asked) == 21
    assert service.refused == 0


async def test_many_npcs_have_their_turns_alike(adapters: Adapters, service: FakeAiService):
    service.npcs = {f"npc-{number}": {"map": "prontera"} for number in range(30)}
    async with adapters(*service.npcs) as adapter:
        await adapter.rounds(200)
    times = [len(service.asked_for(f"/ai/npc/{npc_id}/")) for npc_id in service.npcs]
    assert max(times) - min(times) <= 1


async def test_an_npc_that_the_service_does_not_know_is_absent_and_asked_for_rarely(
    adapters: Adapters, service: FakeAiService, said: Said
):
    async with adapters("ghost", "guard") as adapter:
        await adapter.rounds(int(ABSENT_EVERY_S) // 2)  # the machine's own time goes by too
        assert len(service.asked_for("/ai/npc/ghost/")) == 1
        service.npcs["ghost"] = {"map": "prontera"}
        await adapter.rounds(int(ABSENT_EVERY_S) // 2 + 10)
    assert [state["in"] for state in said.states("ghost")][:1] == ["prontera"]
    assert "/health" not in service.asked


async def test_an_npc_that_is_gone_from_a_service_in_health_is_removed(
    adapters: Adapters, service: FakeAiService, said: Said
):
    async with adapters("guard", "smith") as adapter:
        await adapter.rounds(5)
        del service.npcs["guard"]
        await adapter.rounds(10)
    assert [state for state in said.states("guard") if "removed" in state] == [
        {"npc_id": "guard", "removed": True, "in": "prontera"}
    ]
    assert not [state for state in said.states("smith") if "removed" in state]
    assert len(service.asked_for("/health")) == 1


async def test_when_everything_is_500_nobody_is_removed(adapters: Adapters, service: FakeAiService, said: Said):
    async with adapters("guard", "smith") as adapter:
        await adapter.rounds(5)

        async def fails(_request: object) -> Any:
            raise RuntimeError("the database is away")

        service.trouble = fails
        await adapter.rounds(300)
    assert not [state for npc_id in ("guard", "smith") for state in said.states(npc_id) if "removed" in state]


async def test_an_npc_that_walks_to_another_played_zone_is_there_and_no_longer_here(
    adapters: Adapters, service: FakeAiService, said: Said
):
    async with adapters("guard", played=Played(prontera="prontera", geffen="geffen")) as adapter:
        await adapter.rounds(5)
        service.npcs["guard"]["map"] = "geffen.gat"
        await adapter.rounds(10)
    assert [(state["in"], "removed" in state) for state in said.states("guard") if state.get("map") != "prontera"][
        :2
    ] == [("prontera", True), ("geffen", False)]


async def test_what_stays_as_it_is_is_said_again_while_the_service_answers(
    adapters: Adapters, service: FakeAiService, said: Said
):
    async with adapters("guard") as adapter:
        await adapter.rounds(60)
        alive = len(said.states("guard"))
        service.trouble = broken
        await adapter.rounds(10)
        known = len(said.states("guard"))
        await adapter.rounds(100)
    assert alive >= 10
    assert len(said.states("guard")) == known, "what nobody confirms is not repeated: the feed grows stale"


@pytest.mark.parametrize("trouble", [html, ten_megabytes, broken, elsewhere], ids=lambda answer: answer.__name__)
async def test_a_service_that_fails_is_left_alone_and_asked_after_its_health(
    adapters: Adapters, service: FakeAiService, said: Said, trouble: Answer
):
    async with adapters("guard") as adapter:
        await adapter.rounds(4)
        service.trouble = trouble
        with capture_logs() as logs:
            await adapter.rounds(120)
        failing = len(service.asked)
        service.trouble = None
        service.npcs["guard"]["x"] = 9
        await adapter.rounds(200)
    assert failing < 30
    assert said.states("guard")[-1]["x"] == 9
    assert 1 <= len([line for line in logs if line["event"] == "ai_service.no_answer"]) <= 8
    assert not [line for line in logs if line["log_level"] in {"error", "critical"}]


async def test_a_service_that_never_answers_costs_three_seconds_a_question(adapters: Adapters, service: FakeAiService):
    service.trouble = never
    async with adapters("guard") as adapter:
        before = _requests("environment", "too_slow")
        await adapter.rounds(1)
    assert _requests("environment", "too_slow") == before + 1


async def test_a_question_that_was_reserved_once_is_asked_once(adapters: Adapters, service: FakeAiService):
    service.trouble = hangs_up
    async with adapters("guard") as adapter:
        before = _requests("environment", "unreachable")
        await adapter.rounds(1)
    assert _requests("environment", "unreachable") == before + 1
    assert service.asked == ["/ai/world/environment/current"]


async def test_a_service_that_is_not_there_is_found_when_it_is(
    adapters: Adapters, service: FakeAiService, said: Said, leading: Leading, bus: Bus, time: Time
):
    async with open_client("http://127.0.0.1:1", "") as nowhere:
        polling = Polling(
            nowhere,
            Allowance(Bucket(bus), 90, time),
            leading,
            PlayedLately(Played(prontera="prontera"), time),
            Telling(bus, Source.HTTP),
            time,
            npcs={},
            index=None,
            every=EVERY,
            pace=1,
            share=1,
        )
        before = _requests("environment", "unreachable")
        await Adapter(polling, bus, time).rounds(20)
    assert _requests("environment", "unreachable") >= before + 1
    assert said.states("guard") == []


async def test_garbage_is_left_out_and_the_rest_goes_on(adapters: Adapters, service: FakeAiService, said: Said):
    async def mostly(request: Any) -> Any:
        if request.path.endswith("/smith/state"):
            return await garbage(request)
        return service.truth(request)

    service.trouble = mostly
    service.npcs["guard"] |= {"level": "high", "y": [1, 2]}
    async with adapters("guard", "smith") as adapter:
        await adapter.rounds(10)
    assert said.states("smith") == []
    assert {"level", "y"} & said.states("guard")[0].keys() == set()
    assert said.states("guard")[0]["x"] == 1.0


async def test_a_limit_that_others_used_up_is_respected(adapters: Adapters, service: FakeAiService):
    service._recent.extend([1e12] * 100)  # somebody else at our address
    async with adapters("guard") as adapter:
        await adapter.rounds(50)
    assert len(service.asked) == 1, "it wished for a minute"


async def test_npcs_that_the_index_tells_of_are_not_asked_after_until_it_falls_silent(
    adapters: Adapters, service: FakeAiService, said: Said
):
    index = Index("guard")
    async with adapters("guard", "smith", index=index) as adapter:
        await adapter.rounds(10)
        assert service.asked_for("/ai/npc/guard/") == []
        assert service.asked_for("/ai/npc/smith/")
        index.speaks = False
        await adapter.rounds(5)
        assert said.states("guard")
        index.speaks = True
        await adapter.rounds(1)
        known = len(said.states("guard"))
        await adapter.rounds(100)
    assert len(said.states("guard")) == known


async def test_nothing_is_asked_or_said_by_a_leader_that_was_deposed_meanwhile(
    adapters: Adapters, service: FakeAiService, said: Said, leading: Leading
):
    async def deposing(request: Any) -> Any:
        leading.term = None
        return service.truth(request)

    async with adapters("guard") as adapter:
        await adapter.rounds(2)
        service.trouble = deposing
        await adapter.rounds(10)
    assert said.states("guard") == []
    assert len(service.asked_for("/ai/npc/")) == 1


async def test_the_environment_is_asked_for_by_the_half_minute(adapters: Adapters, service: FakeAiService):
    async with adapters("guard") as adapter:
        await adapter.rounds(int(4 * ENVIRONMENT_EVERY_S))
    assert len(service.asked_for("/ai/world/environment/current")) in range(4, 6)


def _requests(ask: str, outcome: str) -> float:
    return REGISTRY.get_sample_value("p2p_ai_service_requests_total", {"ask": ask, "outcome": outcome}) or 0.0
