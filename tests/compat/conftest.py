"""What tests of strangers' programs ask for where both modes are to serve them."""

from collections.abc import Iterator

import pytest
from embedded.plan import Mode
from testkit.suites import RunningSuite, running_suite


@pytest.fixture(scope="package", params=Mode)
def in_either_mode(request: pytest.FixtureRequest) -> Iterator[RunningSuite]:
    """The whole suite with two gateways, in open mode and then in enforced, where game clients are let in."""
    with running_suite({"signaling_gateway": 2}, {"WARP_ANONYMOUS": "true"}, mode=request.param) as running:
        yield running
