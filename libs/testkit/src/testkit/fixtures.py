"""What tests ask for by name; root `conftest.py` makes it a plugin of every test.

A test that uses a server is marked `servers` by itself, so that `-m "not servers"` is what runs in a second.
"""

from collections.abc import Generator, Iterator

import pytest
import structlog
from _pytest.nodeid import coerce_node_id
from hypothesis import settings

from testkit.clock import ManualClock
from testkit.servers import TestServer, TestServers, running_servers
from testkit.spans import SpanReceiver, receiving_spans
from testkit.suites import RunningSuite, running_suite
from testkit.thoroughness import PROFILE

LINES_SHOWN = 200

NEIGHBOURS = {
    "PGSSLMODE": "verify-full",
    "PGTARGETSESSIONATTRS": "standby",
    "PGSSLCERT": "/nowhere",
    "REDIS_PORT": "tcp://10.96.0.7:6379",
    "POSTGRES_PORT": "tcp://10.96.0.8:5432",
    "SCHEDULER_SERVICE_HOST": "10.96.0.9",
    "SCHEDULER_PORT_80_TCP": "tcp://10.96.0.9:80",
}
"""What a user's shell and Kubernetes put into environments; the shared suite lives among them, and takes no notice."""

SERVER_FIXTURES = frozenset({"servers", "suite"})


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "servers: runs real servers or processes; set by itself where a fixture says so")
    config.addinivalue_line("markers", "xdist_group(name): which tests one worker should run; set by itself")
    settings.load_profile(PROFILE)
    # Tracebacks in logs as services show them: structlog's own, with every local, hold an event loop up for seconds.
    plain = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*structlog.get_config()["processors"][:-1], plain])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if SERVER_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker("servers")
        if (group := _sharing(item)) is not None:
            item.add_marker(pytest.mark.xdist_group(group))
            if config.getoption("loadgroup", default=False):
                # xdist goes by the ends of names, and writes them where pytest since 9.2 does not look any more.
                item._id = coerce_node_id(f"{item.nodeid}@{group}")  # noqa: SLF001 -- there is no other way in


def _sharing(item: pytest.Item) -> str | None:
    """Say what it shares with other tests, which one worker should run then so that it is started once."""
    fixtures = {
        name: definitions[-1]
        for name, definitions in item._fixtureinfo.name2fixturedefs.items()  # type: ignore[attr-defined]  # noqa: SLF001 -- pytest gives names alone
    }
    if "suite" in fixtures and fixtures["suite"].scope == "session":
        return "suite"
    for made in fixtures.values():
        if made.scope == "package":
            return str(made.baseid)
    return item.nodeid.partition("::")[0] if any(made.scope == "module" for made in fixtures.values()) else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the suite's processes wrote beside the failure of a test that used it."""
    report = yield
    suite = getattr(item, "funcargs", {}).get("suite")
    if report.failed and isinstance(suite, RunningSuite):
        report.sections.append(("log of the suite", "\n".join(list(suite.log)[-LINES_SHOWN:])))
    return report


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def span_receiver() -> Iterator[SpanReceiver]:
    """An OTLP/HTTP endpoint; set OTLP_ENDPOINT to its `url`."""
    with receiving_spans() as receiver:
        yield receiver


@pytest.fixture(scope="session")
def suite() -> Iterator[RunningSuite]:
    """The whole suite, one of each service, shared by all tests that leave it whole.

    Tests that want more gateways or other settings define a `suite` of their own with `running_suite`.
    """
    with running_suite(environment=NEIGHBOURS) as running:
        yield running


@pytest.fixture(scope="session")
def servers() -> Iterator[TestServers]:
    """The servers of this test process; ask for one of the fixtures below instead."""
    with running_servers() as running:
        yield running


@pytest.fixture
def nats_server(servers: TestServers) -> Iterator[TestServer]:
    """NATS with an empty JetStream; a test may stop, kill and restart it."""
    servers.empty_nats()
    yield servers.nats
    servers.nats.ensure_running()


@pytest.fixture
def postgres_server(servers: TestServers) -> Iterator[TestServer]:
    """PostgreSQL; a test may stop, kill and restart it."""
    yield servers.postgres
    servers.postgres.ensure_running()


@pytest.fixture
def redis_server(servers: TestServers) -> Iterator[TestServer]:
    """An empty Redis; a test may stop, kill and restart it."""
    servers.empty_redis()
    yield servers.redis
    servers.redis.ensure_running()
    servers.empty_redis()  # what a test makes up about peers must not meet those of the next


@pytest.fixture
def nats_url(nats_server: TestServer) -> str:
    return nats_server.url


@pytest.fixture
def postgres_url(servers: TestServers, postgres_server: TestServer) -> Iterator[str]:
    """An empty database of the test's own."""
    url = servers.new_database()
    yield url
    postgres_server.ensure_running()
    servers.drop_database(url)


@pytest.fixture
def redis_url(redis_server: TestServer) -> str:
    return redis_server.url
