"""A database of the release before, with hosts in it, brought up to date."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from chassis.database import Database, open_database
from contracts.hosts import Host
from host_registry.measuring import Measuring
from host_registry.store.measures import MeasureStore
from host_registry.store.reading import HostReader
from testkit.clock import ManualClock

from services.host_registry.tests.world import PROBE_EVERY, UPLOAD_EVERY

MIGRATIONS = files("host_registry") / "migrations"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)

HOSTS = """
INSERT INTO hosts (host_id, token, peer_id, player_id, player_name, created_at)
SELECT name, name, name, 'p', 'n', $1 FROM unnest(ARRAY['measured', 'claimed', 'unknown', 'endless', 'bounded']) AS name
"""
STANDINGS = """
INSERT INTO standings (
    host_id, no, network_speed_mbps, max_players, max_zones, slots_taken, latency_ms, measured_latency_ms,
    measured_packet_loss_percent, last_beat, told_score, told_at, updated_at
)
SELECT
    host_id, id, 1000, 50, 5, 1, CASE WHEN host_id <> 'unknown' THEN 1 END, CASE WHEN host_id = 'measured' THEN 200 END,
    CASE WHEN host_id = 'measured' THEN 2 END, $1, 50, $1, $1
FROM hosts
"""
SLOTS = """
INSERT INTO slots (session_id, host_id, zone_id, held, revision)
VALUES ('live', 'measured', 'prontera', true, 3), ('ended', 'measured', 'prontera', false, 9)
"""
METADATA = {
    "measured": "[" * 197 + "]" * 197,
    "claimed": "[" * 32 + "]" * 32,
    "unknown": '{"a":' * 33 + "{}" + "}" * 33,
    "endless": '{"a": [{"b": -1' + "0" * 400 + "}]}",
    "bounded": '{"a": [1e308, -1.5, "1' + "0" * 400 + '"]}',
}
SCORES = "SELECT host_id, score, confidence FROM standings ORDER BY host_id"
TALLY = "SELECT sum(hosts), sum(score) FROM tallies"


@pytest.fixture
async def before(postgres_url: str, tmp_path: Path) -> list[Any]:
    """What the release before knew."""
    first = MIGRATIONS / "0001_hosts.sql"
    (tmp_path / first.name).write_text(first.read_text(encoding="utf-8"), encoding="utf-8")
    async with open_database(postgres_url, name="test", migrations=tmp_path) as database:
        await database.execute("test", HOSTS, NOON)
        await database.execute("test", STANDINGS, NOON)
        await database.execute("test", SLOTS)
        for host_id, metadata in METADATA.items():
            await database.execute("test", "UPDATE hosts SET metadata = $2 WHERE host_id = $1", host_id, metadata)
        return [await database.fetch("test", SCORES), await database.fetchrow("test", TALLY)]


@pytest.fixture
async def upgraded(before: list[Any], postgres_url: str) -> AsyncIterator[Database]:
    async with open_database(postgres_url, name="test", migrations=MIGRATIONS) as database:
        assert [await database.fetch("test", SCORES), await database.fetchrow("test", TALLY)] == before
        yield database


async def test_what_players_had_measured_is_kept_and_ages(upgraded: Database) -> None:
    clock = ManualClock(NOON + timedelta(minutes=20))
    measures = MeasureStore(upgraded)
    await Measuring(measures, probe_every=PROBE_EVERY, upload_every=UPLOAD_EVERY, clock=clock).weigh()
    host = Host.model_validate_json(await HostReader(upgraded).get("measured"))
    assert (host.latency_ms, host.packet_loss_percent, host.measured_at) == (200.0, 2.0, NOON)
    assert host.confidence == 0.7


async def test_no_host_is_probed_that_did_not_agree(upgraded: Database) -> None:
    assert await upgraded.fetchval("test", "SELECT count(*) FROM standings WHERE accepts_probes") == 0


async def test_metadata_that_no_reader_could_take_is_gone(upgraded: Database) -> None:
    rows = await upgraded.fetch("test", "SELECT host_id, metadata FROM hosts WHERE metadata IS NOT NULL")
    assert sorted(map(tuple, rows)) == [(host_id, METADATA[host_id]) for host_id in ("bounded", "claimed")]


async def test_slots_of_sessions_that_were_over_stay_closed(upgraded: Database) -> None:
    rows = await upgraded.fetch("test", "SELECT session_id, held, over FROM slots ORDER BY session_id")
    assert [tuple(row) for row in rows] == [("ended", False, True), ("live", True, False)]
