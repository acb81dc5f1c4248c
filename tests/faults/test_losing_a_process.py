"""Any one process may be killed under traffic: what was acknowledged is there, and it comes back by itself."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from testkit.clients import http_client
from testkit.eventually import eventually
from testkit.suites import RunningSuite, running_suite

PROCESSES = [
    "host_registry-1",
    "zone_manager-1",
    "session_manager-1",
    "signaling_gateway-1",
    "scheduler-1",
    "nats",
    "postgres",
    "redis",
]
HOST = {"player_id": "p", "player_name": "n", "network_speed_mbps": 1000, "cpu_cores": 8, "memory_mb": 16384}
ZONE = {"zone_name": "Z", "zone_display_name": "Z", "map_name": "z", "min_host_quality_score": 0, "max_players": 10_000}
AWAY = {503, 504}
"""What a caller may be told while something is away; anything else is a defect."""


@pytest.fixture(scope="module")
def suite() -> Iterator[RunningSuite]:
    """A suite of these tests' own: the others want theirs whole."""
    with running_suite() as running:
        yield running


class Traffic:
    """Players that join one session after another, and what each was told."""

    def __init__(self, api: httpx.AsyncClient, session: str, name: str) -> None:
        self._api = api
        self._session = session
        self._name = name
        self._stopped = asyncio.Event()
        self.seated: set[str] = set()
        """Who was told 200."""
        self.refused: Counter[str] = Counter()
        self.unanswered: set[str] = set()
        """Whose connection broke: seated or not, they cannot know."""

    async def run(self) -> None:
        number = 0
        while not self._stopped.is_set():
            number += 1
            await self._join(f"{self._name}-{number}")

    def stop(self) -> None:
        self._stopped.set()

    async def _join(self, player: str) -> None:
        try:
            answer = await self._api.post(f"/api/v1/sessions/{self._session}/players", json={"player_id": player})
        except httpx.TransportError:
            self.unanswered.add(player)
            return
        if answer.status_code == 200:
            self.seated.add(player)
        else:
            self.refused[f"{answer.status_code} {answer.text}" if answer.status_code not in AWAY else "away"] += 1
            self.unanswered.add(player)  # a join may have been done though its answer was lost


@asynccontextmanager
async def joining(api: httpx.AsyncClient, session: str, name: str) -> AsyncIterator[Traffic]:
    traffic = Traffic(api, session, name)
    async with asyncio.TaskGroup() as group:
        group.create_task(traffic.run())
        yield traffic
        traffic.stop()


async def _new_session(api: httpx.AsyncClient, name: str) -> str:
    await api.post("/api/v1/zones/", json={**ZONE, "zone_id": f"zone-{name}"})
    host = {**HOST, "host_id": f"host-{name}", "max_players": 10_000}
    assert (await api.post("/api/v1/hosts/register", json=host)).status_code == 201
    answer = await api.post("/api/v1/sessions/", json={"zone_id": f"zone-{name}", "host_id": f"host-{name}"})
    assert answer.status_code == 201, answer.text
    session: str = answer.json()["session_id"]
    return session


@pytest.mark.parametrize("process", PROCESSES)
async def test_what_was_acknowledged_survives_the_kill_of(
    process: str, suite: RunningSuite, api: httpx.AsyncClient
) -> None:
    session = await _new_session(api, process)
    others = {name: suite.pid(name) for name in PROCESSES if name != process}
    async with joining(api, session, process) as traffic:
        await eventually(lambda: len(traffic.seated) >= 10, of="ten players seated before")
        await suite.kill(process)
        before = len(traffic.seated)
        await eventually(lambda: len(traffic.seated) >= before + 10, within=15, of="ten players seated after")
    assert {reason for reason in traffic.refused if reason != "away"} == set()
    stored = set((await api.get(f"/api/v1/sessions/{session}")).json()["connected_players"])
    assert traffic.seated <= stored
    assert stored <= traffic.seated | traffic.unanswered
    assert {name: suite.pid(name) for name in others} == others, "the others carried on"


async def test_the_history_of_a_session_misses_nothing_after_nats_was_killed(
    suite: RunningSuite, api: httpx.AsyncClient
) -> None:
    session = await _new_session(api, "history")
    async with joining(api, session, "history") as traffic:
        await eventually(lambda: len(traffic.seated) >= 5, of="five players seated before")
        await suite.kill("nats")
        before = len(traffic.seated)
        await eventually(lambda: len(traffic.seated) >= before + 5, within=15, of="five players seated after")
    history: list[dict[str, Any]] = (await api.get(f"/api/v1/sessions/{session}/events", params={"limit": 1000})).json()
    joined = [player for line in history for player in line["players_joined"]]
    assert len(joined) == len(set(joined)), "each joined once"
    assert traffic.seated <= set(joined)
    assert [line["revision"] for line in history] == list(range(1, len(history) + 1))


async def test_with_postgresql_away_the_suite_says_so_and_recovers_by_itself(
    suite: RunningSuite, api: httpx.AsyncClient
) -> None:
    async with suite.outage("postgres"):
        for service in ("host_registry-1", "session_manager-1", "zone_manager-1"):

            async def unready(name: str = service) -> bool:
                async with http_client(base_url=suite.http(name)) as client:
                    answer = await client.get("/health/ready")
                return answer.status_code == 503 and "postgres" in answer.json()["away"]

            await eventually(unready, within=10, of=f"{service} naming postgres")
        refused = await api.get("/api/v1/hosts/")
        assert refused.status_code == 503
        assert int(refused.headers["Retry-After"]) >= 1
        assert refused.json()["code"] == "unavailable"
    recovered = await eventually(lambda: suite.ready("host_registry-1"), within=10)
    assert recovered


async def test_with_nats_away_a_request_is_refused_at_once_and_works_again_afterwards(
    suite: RunningSuite, api: httpx.AsyncClient
) -> None:
    async with suite.outage("nats"):
        refused = await api.get("/api/v1/zones/")
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
        assert "Retry-After" in refused.headers

    async def works() -> bool:
        return (await api.get("/api/v1/zones/")).status_code == 200

    await eventually(works, within=10)
