"""What a running suite does; all tests share one, and leave it whole."""

import os
from urllib.parse import urlsplit

import asyncpg
import pytest
from embedded.postgres import USER, _clear_stale_lock, _server_of
from embedded.probes import nats_greeting, postgres_ready, redis_ready
from embedded.record import DataDir
from testkit.eventually import eventually
from testkit.suites import running_suite

from libs.embedded.tests.conftest import STANDINS


@pytest.fixture(scope="module")
def suite():
    with running_suite({"signaling_gateway": 2}, {"COLOUR": "blue"}, STANDINS) as suite:
        yield suite


async def test_all_are_ready_when_it_is_up(suite):
    names = [f"{service.name}-1" for service in STANDINS]
    assert all([await suite.ready(name) for name in (*names, "signaling_gateway-2")])


def test_gateways_have_ports_of_their_own(suite):
    assert suite.gateways == [suite.http("signaling_gateway-1"), suite.http("signaling_gateway-2")]
    assert len(set(suite.gateways)) == 2


def test_a_service_is_told_its_name_and_its_servers(suite):
    assert [line for line in suite.log if line.startswith("zone_manager-1 ")] == [
        "zone_manager-1 | INSTANCE=zone_manager-1",
        f"zone_manager-1 | NATS_URL={suite.nats}",
        f"zone_manager-1 | POSTGRES_URL={suite.postgres('zone_manager')}",
        f"zone_manager-1 | REDIS_URL={suite.redis}",
        f"zone_manager-1 | OTLP_ENDPOINT={suite.spans.url}",
        "zone_manager-1 | COLOUR=blue",
        "zone_manager-1 | OTEL_EXPORTER_OTLP_HEADERS=None",
    ]


@pytest.mark.parametrize("service", [service.name for service in STANDINS])
async def test_each_service_has_a_database_of_its_own(suite, service):
    connection = await asyncpg.connect(suite.postgres(service))
    assert await connection.fetchval("SELECT current_database()") == service
    await connection.close()


async def test_a_killed_service_is_ready_again_on_its_port(suite):
    http = suite.http("zone_manager-1")
    await suite.kill("zone_manager-1")
    assert suite.http("zone_manager-1") == http
    assert await suite.ready("zone_manager-1")


@pytest.mark.parametrize(
    ("server", "probe"),
    [("nats", nats_greeting), ("postgres", lambda port: postgres_ready(port, USER)), ("redis", redis_ready)],
)
async def test_a_killed_server_is_ready_again_on_its_port(suite, server, probe):
    url = {"nats": suite.nats, "postgres": suite.postgres(""), "redis": suite.redis}[server]
    await suite.kill(server)
    assert await probe(urlsplit(url).port)


async def test_a_service_is_revived_while_what_runs_cannot_be_written_down(suite):
    in_the_way = suite.data_dir / f"suite.{os.getpid()}"
    in_the_way.mkdir()
    try:
        await suite.kill("zone_manager-1")
        await suite.kill("scheduler-1")
        assert len([line for line in suite.log if "cannot be written down" in line]) == 1
    finally:
        in_the_way.rmdir()
    await suite.kill("zone_manager-1")
    record = DataDir(suite.data_dir).read()
    assert record is not None
    assert record.pid_of("scheduler-1") == suite.pid("scheduler-1")


async def test_a_keeper_that_fails_is_heard(suite):
    async def failing():
        raise KeyError("a fault of ours")

    async def fail():
        suite._suite._begin("nobody", failing())

    await suite._portal.perform(fail())
    await eventually(lambda: any("keeper of nobody has failed" in line for line in suite.log))


def test_a_lock_file_that_names_the_server_of_another_directory_is_taken_away(suite, tmp_path):
    (tmp_path / "postmaster.pid").write_text(f"{suite.pid('postgres')}\n{tmp_path}\n")
    _clear_stale_lock(tmp_path)
    assert not (tmp_path / "postmaster.pid").exists()
    ours = suite.data_dir / "postgres"
    served = _server_of(ours, (ours / "postmaster.pid").read_text())
    assert served is not None
    assert served.pid == suite.pid("postgres")
