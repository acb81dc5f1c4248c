"""A process says truly whether it is ready."""

import asyncio

import pytest
from chassis.health import serve_health
from chassis.http import PortTakenError, serve_http
from testkit.clients import http_client
from testkit.eventually import eventually


@pytest.fixture
async def health():
    async with serve_health("127.0.0.1", 0) as health:
        yield health


async def test_it_lives_before_it_is_ready_and_counts(unused_tcp_port):
    async with (
        serve_health("127.0.0.1", unused_tcp_port) as health,
        http_client(base_url=f"http://127.0.0.1:{unused_tcp_port}") as client,
    ):
        assert (await client.get("/health/live")).status_code == 200
        assert (await client.get("/health/ready")).status_code == 503
        with health.serving():
            assert (await client.get("/health/ready")).json() == {"status": "ready", "away": [], "notes": []}
        assert (await client.get("/health/ready")).json() == {"status": "unready", "away": ["serving"], "notes": []}
        assert "p2p_request_seconds" in (await client.get("/metrics")).text


async def test_a_note_is_told_and_keeps_nobody_away(health):
    said: list[str | None] = ["less than usual"]
    health.note(lambda: said[0])
    with health.serving():
        assert (health.notes(), await health.away()) == (["less than usual"], [])
        said[0] = None
        assert health.notes() == []


async def test_unready_names_what_is_away(health, monkeypatch):
    monkeypatch.setattr("chassis.health.CHECK_WITHIN_S", 0.05)

    async def hangs() -> bool:
        await asyncio.Event().wait()
        return True

    def breaks() -> bool:
        raise OSError("gone")

    health.watch("nats", lambda: True)
    health.watch("postgres", hangs)
    health.watch("redis", breaks)
    with health.serving():
        assert await health.away() == ["postgres", "redis"]


async def test_readiness_follows_the_servers(health, bus, database, nats_server, postgres_server):
    health.watch("nats", lambda: bus.connected)
    health.watch("postgres", database.ping)
    with health.serving():
        assert await health.away() == []
        await nats_server.stop()
        await postgres_server.stop()
        await eventually(lambda: names(health, ["nats", "postgres"]))
        await nats_server.start()
        await postgres_server.start()
        await eventually(lambda: names(health, []))


async def names(health, expected: list[str]) -> bool:
    return await health.away() == expected


async def test_a_port_that_is_taken_is_named():
    async def app(scope, receive, send) -> None:
        return

    async with serve_http(app, "127.0.0.1", 0) as port:
        with pytest.raises(PortTakenError, match=f"cannot listen on 127.0.0.1:{port}"):
            async with serve_http(app, "127.0.0.1", port):
                pass
