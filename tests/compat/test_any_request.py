"""Nobody makes a gateway fail with what the OpenAPI document allows, or does not: schemathesis tries."""

import asyncio
import os
import re
import sys
from pathlib import Path

import pytest
from contracts.access import Role
from embedded.plan import Mode
from testkit.admission import headers_for
from testkit.patience import patient, within
from testkit.suites import RunningSuite
from testkit.thoroughness import examples

ROOT = Path(__file__).parents[2]
SCHEMATHESIS = str(Path(sys.prefix, "bin", "schemathesis"))

ENDLESS = "/api/v1/console"
"""A stream of events, which waits for what happens next."""

OPTIONS = (
    *("--checks", "no_defect", "--mode", "all", "--no-shrink"),
    *("--generation-with-security-parameters", "false", "--suppress-health-check", "all"),
    *("--exclude-path", ENDLESS, "--max-examples", str(examples(2)), "--request-timeout", str(patient(30))),
    *("--continue-on-failure", "--no-color"),
)

PHASES = {Mode.OPEN: "examples,fuzzing", Mode.ENFORCED: "examples,coverage,fuzzing"}
"""Behind the gate both modes are the same: in one of them the many cases that cover the document are enough."""

AT_LEAST = 150
"""Some three for each operation; less is no try at all."""


@pytest.fixture
def suite(in_either_mode: RunningSuite) -> RunningSuite:
    return in_either_mode


async def test_no_request_makes_a_gateway_fail(suite: RunningSuite, tmp_path: Path) -> None:
    shown = await headers_for(suite, Role.OPERATOR)  # to whom everything is let through to its owner
    headers = [word for name, value in shown.items() for word in ("--header", f"{name}:{value}")]
    trying = await asyncio.create_subprocess_exec(
        *(SCHEMATHESIS, "run", f"{suite.gateways[0]}/openapi.json", "--phases", PHASES[suite.mode], *OPTIONS, *headers),
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "SCHEMATHESIS_HOOKS": "tests.compat.any_request"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with within(120):
            said = (await trying.communicate())[0].decode()
    finally:
        if trying.returncode is None:
            trying.kill()
            await trying.communicate()
    assert trying.returncode == 0, said
    tried = re.search(r"(\d+) generated", said)
    assert tried, said
    assert int(tried[1]) >= AT_LEAST, said
    assert not [line for line in suite.log if "Traceback" in line]
