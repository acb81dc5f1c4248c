"""What tests of services in environments of their own ask for."""

from collections.abc import Mapping

import pytest
from embedded.catalogue import SERVICES

from tests.deployment.environments import Environment, environments, install, shared

NAMES = [service.name for service in SERVICES]


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Environment]:
    """An environment for each service."""
    directory = shared(tmp_path_factory, "environments", lambda into: install(NAMES, into))
    return environments(directory, NAMES)
