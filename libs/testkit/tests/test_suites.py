import dataclasses
import os
import sys
from pathlib import Path

import pytest
from embedded.catalogue import SERVICES
from embedded.probes import nats_greeting
from testkit.eventually import eventually
from testkit.suites import running_suite

STANDIN = Path(__file__).parents[2] / "embedded" / "tests" / "standin.py"


@pytest.fixture(scope="module")
def suite():
    services = tuple(dataclasses.replace(service, command=(sys.executable, str(STANDIN))) for service in SERVICES)
    with running_suite(replicas={"signaling_gateway": 2}, environment={"COLOUR": "blue"}, services=services) as suite:
        yield suite


async def test_its_processes_run_and_are_ready(suite):
    assert len(suite.gateways) == 2
    assert await suite.ready("signaling_gateway-2")
    assert "zone_manager-1 | COLOUR=blue" in suite.log


async def test_an_outage_lasts_as_long_as_its_block(suite):
    port = int(suite.nats.rpartition(":")[2])
    async with suite.outage("nats"):
        assert suite.pid("nats") is None
        assert await nats_greeting(port) is None
    assert await nats_greeting(port)


async def test_what_was_away_is_kept_running_again(suite):
    async with suite.outage("scheduler-1"):
        assert not await suite.ready("scheduler-1")
    await suite.kill("scheduler-1")
    await eventually(lambda: suite.ready("scheduler-1"))
    assert os.getpgid(suite.pid("scheduler-1")) != os.getpgid(0)
