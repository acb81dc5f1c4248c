"""What a running suite does; all tests share one, and leave it whole."""

from urllib.parse import urlsplit

import asyncpg
import pytest
from embedded.postgres import USER
from embedded.probes import nats_greeting, postgres_ready, redis_ready
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
