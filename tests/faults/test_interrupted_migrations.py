"""Whoever is killed while sessions change their host: each ends on one other host, with its players, in one epoch."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from testkit.eventually import eventually
from testkit.patience import patient
from testkit.suites import RunningSuite, running_suite

from services.signaling_gateway.tests.signaling.client import Peer, dial, leaving

LOST, *OTHERS = "lost", "one", "two"
SEATS = 4
"""Of each host; of the three sessions with two players each, two fit one host."""

HOST = {"network_speed_mbps": 1000, "cpu_cores": 8, "memory_mb": 16384}
ZONE = {"zone_name": "Z", "zone_display_name": "Z", "map_name": "z", "min_host_quality_score": 0, "max_players": 2}

PATIENT = {
    "SESSION_MANAGER_MIGRATE_WITHIN_S": str(patient(60)),
    "HOST_REGISTRY_SUSPECT_AFTER_S": str(patient(100)),
    "HOST_REGISTRY_OFFLINE_AFTER_S": str(patient(200)),
}
"""What is killed here is away for seconds, on a busy machine for more; and these hosts never beat."""


@pytest.fixture(scope="module")
def suite() -> Iterator[RunningSuite]:
    with running_suite({"signaling_gateway": 2}, PATIENT) as running:
        yield running


class Sessions:
    """Three sessions of a zone on one host, two players in each; of each, one has a socket at the second gateway."""

    def __init__(self, api: httpx.AsyncClient, name: str) -> None:
        self._api = api
        self._name = name
        self.ids: list[str] = []
        self.sockets: list[Peer] = []

    def host(self, which: str) -> str:
        return f"{which}-{self._name}"

    async def begin(self, gateway: str) -> None:
        zone = {**ZONE, "zone_id": self._name, "regions": [self._name]}
        assert (await self._api.post("/api/v1/zones", json=zone)).status_code == 201
        for which in (LOST, *OTHERS):
            await self._register(self.host(which), 2 * SEATS if which == LOST else SEATS)
        for number in range(3):
            wish = {"zone_id": self._name, "host_id": self.host(LOST), "player_ids": [f"{self._name}-rests-{number}"]}
            made = await self._api.post("/api/v1/sessions", json=wish)
            assert made.status_code == 201, made.text
            self.ids.append(made.json()["session_id"])
            self.sockets.append(await dial(gateway, f"{self._name}-{number}", self.ids[-1]))
            assert (await self.sockets[-1].hear("session-joined"))["epoch"] == 1

    async def are(self, status: str, epoch: int) -> bool:
        found = [await self._session(session_id) for session_id in self.ids]
        return all((session.get("status"), session.get("epoch")) == (status, epoch) for session in found)

    async def assert_moved_once(self) -> None:
        seated = dict.fromkeys((self.host(LOST), *map(self.host, OTHERS)), 0)
        for number, session_id in enumerate(self.ids):
            session = await self._session(session_id)
            assert set(session["connected_players"]) == {f"{self._name}-rests-{number}", f"{self._name}-{number}"}
            seated[session["host_id"]] += session["current_players"]
            history = (await self._api.get(f"/api/v1/sessions/{session_id}/events")).json()
            moves = [line["event"] for line in history if line["event"] not in {"joined", "created"}]
            assert moves == ["migrating", "migrated"]
            assert [line["revision"] for line in history] == list(range(1, len(history) + 1))
        del seated[self.host(LOST)]  # there is none of that name any more
        assert sum(seated.values()) == 6
        assert max(seated.values()) <= SEATS

        async def counted() -> bool:
            explained = (await self._api.get(f"/api/v1/zones/{self._name}/explain")).json()
            free = {
                judged["host_id"]: judged["seats_free"]
                for judged in explained["judgements"]
                if judged["host_id"] in seated
            }
            assert free == {host_id: SEATS - taken for host_id, taken in seated.items()}
            return True

        await eventually(counted, within=20, of="seats as placement has them")

    async def assert_told(self, gateway: str, *, cut: bool) -> None:
        """Each player with a socket hears of the next host, or when it is back, where its socket was cut."""
        for number, session_id in enumerate(self.ids):
            session = await self._session(session_id)
            if cut:
                async with await dial(gateway, f"{self._name}-{number}", session_id) as back:
                    told = await back.hear_until("session-joined")
            else:
                told = await self.sockets[number].hear_until("host-migrated")
            assert (told["host_id"], told["epoch"]) == (session["host_id"], 2)

    async def _session(self, session_id: str) -> dict[str, Any]:
        found: dict[str, Any] = (await self._api.get(f"/api/v1/sessions/{session_id}")).json()
        return found

    async def _register(self, host_id: str, seats: int) -> None:
        host = {**HOST, "host_id": host_id, "player_id": host_id, "player_name": host_id, "region": self._name}
        made = await self._api.post("/api/v1/hosts/register", json={**host, "max_players": seats})
        assert made.status_code == 201, made.text


@asynccontextmanager
async def standing_still(suite: RunningSuite, name: str) -> AsyncIterator[None]:
    suite.send(name, signal.SIGSTOP)
    try:
        yield
    finally:
        suite.send(name, signal.SIGCONT)


@pytest.mark.parametrize(
    ("held", "killed"),
    [
        *(("zone_manager-1", name) for name in ("session_manager-1", "zone_manager-1", "host_registry-1")),
        *(("zone_manager-1", name) for name in ("signaling_gateway-1", "nats", "postgres")),
        ("session_manager-1", "session_manager-1"),
        ("session_manager-1", "host_registry-1"),
        ("signaling_gateway-2", "session_manager-1"),
        ("signaling_gateway-2", "signaling_gateway-2"),
    ],
)
async def test_no_session_is_lost_doubled_or_untold(
    suite: RunningSuite, api: httpx.AsyncClient, held: str, killed: str
) -> None:
    """`held` stands still, so that the migration gets as far as it needs it: then `killed` is killed."""
    sessions = Sessions(api, f"{held}-{killed}")
    await sessions.begin(suite.gateways[1])
    async with leaving(*sessions.sockets):
        async with standing_still(suite, held):
            assert (await api.delete(f"/api/v1/hosts/{sessions.host(LOST)}")).is_success
            match held:
                case "zone_manager-1":  # it was asked for hosts
                    await eventually(lambda: sessions.are("migrating", 1), within=20)
                case "signaling_gateway-2":  # all that is left is to tell the players
                    await eventually(lambda: sessions.are("active", 2), within=20)
            await suite.kill(killed)
        await eventually(lambda: sessions.are("active", 2), within=40, of="all on other hosts")
        await sessions.assert_moved_once()
        await sessions.assert_told(suite.gateways[1], cut=killed == "signaling_gateway-2")


async def test_when_all_hosts_die_at_once_their_players_are_sent_to_the_central_server_and_keep_their_seats(
    suite: RunningSuite, api: httpx.AsyncClient
) -> None:
    sessions = Sessions(api, "all")
    await sessions.begin(suite.gateways[1])
    async with leaving(*sessions.sockets):
        await asyncio.gather(*(api.delete(f"/api/v1/hosts/{sessions.host(which)}") for which in (LOST, *OTHERS)))

        async def fell_back() -> bool:
            found = [(await api.get(f"/api/v1/sessions/{session_id}")).json() for session_id in sessions.ids]
            return {session["status"] for session in found} == {"fallback"}

        await eventually(fell_back, within=20)
        for number, session_id in enumerate(sessions.ids):
            session = (await api.get(f"/api/v1/sessions/{session_id}")).json()
            assert set(session["connected_players"]) == {f"all-rests-{number}", f"all-{number}"}
            told = await sessions.sockets[number].hear_until("session-fallback")
            assert (told["session_id"], told["reason"]) == (session_id, "host_lost")
            why = (await api.get(f"/api/v1/sessions/{session_id}/explain")).json()["decisions"][-1]
            assert (why["event"], why["reason"]) == ("fell-back", "host_lost")
