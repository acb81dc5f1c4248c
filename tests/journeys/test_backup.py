"""A suite is backed up while it runs, and goes on from an empty machine, as docs/operations.md says."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import httpx
import pytest
import pytest_asyncio
from embedded.plan import Mode
from testkit.admission import headers_for
from testkit.clients import persistent_client
from testkit.directories import data_directory
from testkit.suites import RunningSuite, running_suite

from libs.cli.tests.terminal import p2p

HOST = {
    "host_id": "host",
    "player_id": "p",
    "player_name": "n",
    "cpu_cores": 8,
    "memory_mb": 16384,
    "network_speed_mbps": 1000,
}
ZONE = {"zone_id": "zone", "zone_name": "Z", "zone_display_name": "Z", "map_name": "z", "min_host_quality_score": 0}


class BackedUp(NamedTuple):
    directory: Path
    session: dict[str, Any]
    """As it was then."""
    server: dict[str, str]
    """What the game's server shows."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def backed_up(tmp_path_factory: pytest.TempPathFactory) -> BackedUp:
    """A suite with a host, a zone, and a session with a player, that is no more."""
    backup = tmp_path_factory.mktemp("backups") / "backup"
    with running_suite(mode=Mode.ENFORCED) as suite:
        server = await headers_for(suite)
        async with persistent_client(suite.gateways[0], server) as api:
            assert (await api.post("/api/v1/hosts/register", json=HOST)).status_code == 201
            assert (await api.post("/api/v1/zones", json=ZONE)).status_code == 201
            entered = await api.post("/api/v1/sessions/join", json={"zone_id": "zone", "peer_id": "anna"})
            assert entered.is_success, entered.text
            session = (await api.get(f"/api/v1/sessions/{entered.json()['session_id']}")).json()
        said = p2p("backup", backup, "--data-dir", suite.data_dir)
        assert said.code == 0, said.error
    return BackedUp(backup, session, server)


@pytest.fixture(scope="module")
def suite(backed_up: BackedUp) -> Iterator[RunningSuite]:
    """Another, on a directory that was empty before it was restored into."""
    with data_directory("p2p-restored-") as data_dir:
        said = p2p("restore", backed_up.directory, "--data-dir", data_dir)
        assert said.code == 0, said.error
        with running_suite(data_dir=data_dir, mode=Mode.ENFORCED) as restored:
            yield restored


@pytest.fixture
async def api(suite: RunningSuite, backed_up: BackedUp) -> AsyncIterator[httpx.AsyncClient]:
    """The same game's server, with the key it had."""
    async with persistent_client(suite.gateways[0], backed_up.server) as client:
        yield client


async def test_hosts_zones_and_sessions_are_there_after_a_restore_and_players_enter(
    suite: RunningSuite, api: httpx.AsyncClient, backed_up: BackedUp
) -> None:
    assert await settings_of(suite.postgres("host_registry")) == "force_generic_plan", "the database's own too"
    beat = await api.post("/api/v1/hosts/host/heartbeat", json={"latency_ms": 12})
    assert beat.is_success, beat.text
    zone = (await api.get("/api/v1/zones/zone")).json()
    session = (await api.get(f"/api/v1/sessions/{backed_up.session['session_id']}")).json()
    assert (zone["map_name"], session["host_id"], session["connected_players"]) == ("z", "host", ["anna"])
    entered = await api.post("/api/v1/sessions/join", json={"zone_id": "zone", "peer_id": "berta"})
    assert entered.is_success, entered.text
    assert entered.json()["session_id"] == session["session_id"]
    again = (await api.get(f"/api/v1/sessions/{session['session_id']}")).json()
    assert again["connected_players"] == ["anna", "berta"]


async def settings_of(database: str) -> str:
    connection = await asyncpg.connect(database)
    try:
        setting: str = await connection.fetchval("SHOW plan_cache_mode")
    finally:
        await connection.close()
    return setting


def test_only_who_made_a_backup_may_read_it(backed_up: BackedUp) -> None:
    assert backed_up.directory.stat().st_mode & 0o077 == 0


def test_nothing_is_restored_over_the_data_of_a_suite_or_backed_up_over_another_backup(
    suite: RunningSuite, backed_up: BackedUp, tmp_path: Path
) -> None:
    over = p2p("restore", backed_up.directory, "--data-dir", suite.data_dir)
    assert (over.code, "already runs" in over.error) == (1, True)
    again = p2p("backup", backed_up.directory, "--data-dir", suite.data_dir)
    assert (again.code, "is there already" in again.error) == (1, True)
    (tmp_path / "nats").mkdir()
    used = p2p("restore", backed_up.directory, "--data-dir", tmp_path)
    assert (used.code, "has the data of a suite already" in used.error) == (1, True)


def test_what_is_no_whole_backup_leaves_no_databases(backed_up: BackedUp, tmp_path: Path) -> None:
    for dump in backed_up.directory.iterdir():
        (tmp_path / dump.name).write_bytes(dump.read_bytes())
    (tmp_path / "zone_manager.dump").write_bytes(b"PGDMP, cut short")
    damaged = p2p("restore", tmp_path, "--data-dir", tmp_path / "data")
    assert (damaged.code, "pg_restore of PostgreSQL failed" in damaged.error) == (1, True)
    assert not (tmp_path / "data/postgres").exists()
    (tmp_path / "zone_manager.dump").unlink()
    partial = p2p("restore", tmp_path, "--data-dir", tmp_path / "data")
    assert (partial.code, "there is no zone_manager.dump in it" in partial.error) == (1, True)
