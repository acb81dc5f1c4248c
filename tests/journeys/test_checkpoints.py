"""The state of a session goes along to its next host; the host before can no longer change it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from contracts.access import TokenAnswer
from contracts.frames import SessionAssigned
from contracts.grants import OPERATOR
from contracts.hosts import RegisterHost
from contracts.streams import CHECKPOINTS
from sdk import AgentEvent, HostAgent, NotAssignedError, OnClose, PlayerChannel, RefusedError
from testkit.admission import bearer_for, on_nats
from testkit.eventually import eventually
from testkit.patience import patient, within
from testkit.suites import RunningSuite

ZONE = {"zone_id": "kept", "zone_name": "Z", "zone_display_name": "Z", "map_name": "z", "regions": ["kept"]}

STATE = bytes(range(256)) * 2000


async def no_players(_channel: PlayerChannel, _message: str | bytes) -> None:
    raise AssertionError("nobody plays here")


class Assignments:
    """The sessions that an agent was given, as they come."""

    def __init__(self) -> None:
        self._given: asyncio.Queue[SessionAssigned] = asyncio.Queue()

    def hear(self, event: AgentEvent) -> None:
        if isinstance(event, SessionAssigned):
            self._given.put_nowait(event)

    async def next(self) -> SessionAssigned:
        async with within(20):
            return await self._given.get()


@asynccontextmanager
async def a_host(
    suite: RunningSuite, api: httpx.AsyncClient, host_id: str
) -> AsyncIterator[tuple[HostAgent, Assignments]]:
    host = RegisterHost(
        host_id=host_id,
        player_id=host_id,
        player_name=host_id,
        cpu_cores=8,
        memory_mb=16384,
        network_speed_mbps=1000,
        region="kept",
    )
    wish = {"player_id": host_id, "role": "host", "host_id": host_id}
    tokens = TokenAnswer.model_validate((await api.post("/api/v1/auth/token", json=wish)).json())
    heard = Assignments()
    agent = HostAgent(
        suite.gateways[0],
        host,
        on_message=no_players,
        on_event=heard.hear,
        credentials=tokens,
        on_close=OnClose.UNREGISTER,
    )
    async with agent:
        yield agent, heard


async def stored(suite: RunningSuite) -> int:
    """How many pieces of checkpoints there are; those of other tests' sessions may go meanwhile, none come."""
    async with on_nats(suite, OPERATOR) as client:
        stream = await client.jetstream(timeout=patient(5)).stream_info(CHECKPOINTS.name)
    return int(stream.state.messages)


async def test_the_next_host_begins_with_what_the_last_one_kept(suite: RunningSuite, api: httpx.AsyncClient) -> None:
    already = await stored(suite)
    assert (await api.post("/api/v1/zones", json=ZONE)).status_code == 201
    async with a_host(suite, api, "keeper-1") as (first, of_first):
        wish = {"zone_id": "kept", "player_ids": ["kim"], "host_id": "keeper-1"}
        session = (await api.post("/api/v1/sessions", json=wish)).json()["session_id"]
        assert (await of_first.next()).session_id == session
        assert await first.load(session) is None
        await first.save(session, b"at first")
        await first.save(session, STATE)
        before = await bearer_for(suite, player_id="keeper-1", role="host", host_id="keeper-1")
        path = f"/api/v1/sessions/{session}/checkpoint"

        async with a_host(suite, api, "keeper-2") as (second, of_second):
            await api.delete("/api/v1/hosts/keeper-1")
            taken = await of_second.next()
            assert (taken.session_id, taken.epoch) == (session, 2)
            assert await second.load(session) == STATE

            late = await api.put(f"{path}?epoch=1&sequence=99", content=b"of the host before")
            assert (late.status_code, late.json()["code"]) == (409, "stale_epoch")
            assert (late.json()["fields"]["host_id"], late.json()["fields"]["epoch"]) == ("keeper-2", 2)
            async with httpx.AsyncClient(base_url=suite.gateways[1], headers=before) as old:
                late = await old.put(f"{path}?epoch=1&sequence=99", content=b"of the host before")
                assert (late.status_code, late.json()["code"]) == (409, "stale_epoch")
                assert (await old.get(path)).status_code == 403
            await eventually(lambda: session not in first.sessions)
            with pytest.raises(NotAssignedError):
                await first.save(session, b"of the host before")

            await second.save(session, b"later")
            given = await api.get(path)
            assert (given.content, given.headers["p2p-epoch"], given.headers["p2p-sequence"]) == (b"later", "2", "3")

            with pytest.raises(RefusedError, match="must not exceed"):
                await second.save(session, bytes(11 * 1024 * 1024))
            assert await second.load(session) == b"later"

            assert (await api.post(f"/api/v1/sessions/{session}/end")).is_success
            assert await second.load(session) is None

    async def none_more() -> bool:
        return await stored(suite) <= already

    await eventually(none_more)
