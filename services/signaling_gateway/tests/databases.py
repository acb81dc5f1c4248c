"""The gateways' database: one for a test process, as it is one for all gateways of a suite."""

from testkit.servers import TestServers

_MADE: dict[str, str] = {}


def gateway_database(servers: TestServers) -> str:
    """Its URL."""
    server = servers.postgres.url
    if server not in _MADE:
        _MADE[server] = servers.new_database()
    return _MADE[server]
