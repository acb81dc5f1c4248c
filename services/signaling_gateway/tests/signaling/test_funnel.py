"""OwnerTotals of several gateways add up, and say within which time most connections were made."""

import pytest
from contracts.frames import IceResult
from contracts.gateway import IceState
from signaling_gateway.rooms.join_funnel import JoinFunnel, summed


def reported(*results: tuple[str, str | None, float | None]) -> JoinFunnel:
    funnel = JoinFunnel()
    for state, candidate_type, elapsed_ms in results:
        funnel.reported(IceResult(to="h1", state=IceState(state), candidate_type=candidate_type, elapsed_ms=elapsed_ms))
    return funnel


def test_reports_are_counted_by_how_the_connection_came_about():
    funnel = reported(
        ("connected", "host", 10),
        ("connected", None, None),
        ("connected", "relay", 300),
        ("failed", None, 9000),
        ("disconnected", "host", None),
    )
    funnel.entered()
    counts = funnel.counts()
    assert (counts.begun, counts.direct, counts.relayed, counts.failed) == (1, 2, 1, 1)


@pytest.mark.parametrize(
    "times, p50, p95",
    [([], None, None), ([10], 50, 50), ([10, 60, 60, 900], 100, 1600), ([50, 51], 50, 100), ([99_999], None, None)],
)
def test_most_connections_were_made_within_the_bound_that_holds_their_share(times, p50, p95):
    here = reported(*(("connected", "host", took) for took in times[::2]))
    there = reported(*(("connected", "host", took) for took in times[1::2]))
    total = summed([here.counts(), there.counts()])
    assert (total["p50_ms"], total["p95_ms"]) == (p50, p95)
    assert total["direct"] == len(times)
