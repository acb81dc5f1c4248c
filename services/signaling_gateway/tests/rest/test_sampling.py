"""Which calls leave a trace: every change up to a bound, of reads some, of floods hardly any."""

from datetime import timedelta
from typing import Any

import pytest
from signaling_gateway.http.hosts import host_routes
from signaling_gateway.http.sampling import edge_sampling
from signaling_gateway.http.sessions import session_routes
from signaling_gateway.rooms.host_regions import host_regions
from signaling_gateway.rooms.ice_servers import IceServers
from signaling_gateway.trace_rates import A_SECOND

NO_BUS: Any = None


@pytest.fixture
def sampling():
    ice = IceServers((), (), "", timedelta(hours=1), host_regions(NO_BUS))
    return edge_sampling([*host_routes(NO_BUS), *session_routes(NO_BUS, ice, lambda *_: None)])


@pytest.mark.parametrize(
    "kind",
    [
        "POST /api/v1/sessions",
        "POST /api/v1/sessions/join",
        "POST /api/v1/sessions/{session}/players",
        "POST /api/v1/hosts/register",
        "DELETE /api/v1/hosts/{host_id}",
    ],
)
def test_changes_are_kept_up_to_their_bound(kind: str, sampling):
    assert all(sampling.keeps(kind) for _ in range(A_SECOND))
    assert sum(sampling.keeps(kind) for _ in range(1000)) < 200


@pytest.mark.parametrize(
    ("kind", "at_most"),
    [
        ("POST /api/v1/hosts/{host_id}/heartbeat", 50),
        ("PATCH /api/v1/sessions/{session}/metrics", 50),
        ("GET /api/v1/hosts/{host_id}", 250),
        ("GET other", 0),
    ],
)
def test_floods_are_hardly_kept(kind: str, at_most: int, sampling):
    assert sum(sampling.keeps(kind) for _ in range(10_000)) <= at_most


def test_hosts_that_register_do_not_hide_how_players_enter(sampling):
    for _ in range(1000):
        sampling.keeps("POST /api/v1/hosts")

    assert all(sampling.keeps("POST /api/v1/sessions/join") for _ in range(A_SECOND))
