"""A bus and a database to the servers of the test, and the spans recorded meanwhile."""

from collections.abc import AsyncIterator, Iterator
from importlib.resources.abc import Traversable
from pathlib import Path

import pytest
from chassis.bus import Bus, connect_bus
from chassis.database import Database, open_database
from chassis.streams import declare_streams
from chassis.tracing import recording_to
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from libs.chassis.tests.spans import Spans


@pytest.fixture
async def bus(nats_url: str) -> AsyncIterator[Bus]:
    async with connect_bus(nats_url, "test") as bus:
        await declare_streams(bus)
        yield bus


@pytest.fixture
def no_migrations(tmp_path: Path) -> Traversable:
    return tmp_path


@pytest.fixture
async def database(postgres_url: str, no_migrations: Traversable) -> AsyncIterator[Database]:
    async with open_database(postgres_url, name="test", migrations=no_migrations) as database:
        yield database


@pytest.fixture
def spans() -> Iterator[Spans]:
    exporter = InMemorySpanExporter()
    with recording_to(exporter, "test", "test-1", "1") as provider:
        yield Spans(exporter, provider)
