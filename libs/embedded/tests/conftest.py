import dataclasses
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from embedded.catalogue import SERVICES
from embedded.plan import Plan
from embedded.postgres import NOT_DURABLE
from embedded.suite import Suite, running

STANDIN = (sys.executable, str(Path(__file__).parent / "standin.py"))

STANDINS = tuple(dataclasses.replace(service, command=STANDIN) for service in SERVICES)


class Log:
    """The lines a suite's programs wrote, by who wrote them, and in which order they began to speak."""

    def __init__(self) -> None:
        self.lines: dict[str, list[str]] = defaultdict(list)

    def __call__(self, name: str, line: str) -> None:
        self.lines[name].append(line)

    def order(self, names: set[str]) -> list[str]:
        return [name for name in self.lines if name in names]


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def run(tmp_path, log):
    """Run a suite of stand-ins: `async with run(http_port=…) as suite`."""

    @asynccontextmanager
    async def run(**asked) -> AsyncIterator[Suite]:
        async with running(
            Plan(**{"data_dir": tmp_path, "services": STANDINS, "postgres_settings": NOT_DURABLE, **asked}), log
        ) as suite:
            yield suite

    return run
