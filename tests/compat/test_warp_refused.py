"""The shipped game client where everybody is asked who they are and it is let in by nobody: refused, and told why."""

import json
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from embedded.plan import Mode
from testkit.clients import http_client
from testkit.eventually import eventually
from testkit.suites import RunningSuite, running_suite

from tests.compat.game_client import game_client, post
from tests.journeys.test_enforced import key_of, p2p, token

NOT_LET_IN = "Clients without a key are not let in: WARP_ANONYMOUS is off."

_NUMBERS = count(150001)


@pytest.fixture(scope="module")
def suite() -> Iterator[RunningSuite]:
    """`WARP_ANONYMOUS` is off by default."""
    with running_suite({"signaling_gateway": 2}, mode=Mode.ENFORCED) as running:
        yield running


async def _on_record(suite: RunningSuite, target: str) -> dict[str, Any] | None:
    """The first refusal of a token at this place."""
    lines = (await p2p(suite, "events", "--audit", "--json")).splitlines()
    facts = [json.loads(line) for line in lines]
    found = (fact for fact in facts if (fact["action"], fact["target"]) == ("token-refused", target))
    return next(found, None)


async def test_it_gets_no_token_and_the_record_says_why(suite: RunningSuite) -> None:
    asked = {"peer_id": str(next(_NUMBERS)), "client_version": "1.0", "timestamp": 1_795_000_000}
    for gateway in suite.gateways:
        refused = await post(gateway, "/api/v1/auth/token", asked)
        assert (refused.status, refused.body["code"], refused.body["detail"]) == (401, "unauthenticated", NOT_LET_IN)

    fact = await eventually(lambda: _on_record(suite, "POST /api/v1/auth/token"), within=10)

    assert fact is not None
    assert (fact["role"], fact["name"], fact["detail"]) == ("anonymous", "127.0.0.1", NOT_LET_IN)


async def test_its_socket_is_closed_as_not_allowed_and_the_record_says_why(suite: RunningSuite) -> None:
    for gateway in suite.gateways:
        async with game_client(gateway, suite.authority, str(next(_NUMBERS))) as game:
            assert await game.hear() == {"type": "error", "message": NOT_LET_IN}
            assert await game.closed() == (1008, NOT_LET_IN)

    fact = await eventually(lambda: _on_record(suite, "signaling socket"), within=10)

    assert fact is not None
    assert (fact["role"], fact["name"], fact["detail"]) == ("anonymous", "127.0.0.1", NOT_LET_IN)


async def test_its_refresh_with_nothing_renews_no_token_and_a_server_s_players_are_served_beside_it(
    suite: RunningSuite,
) -> None:
    here, there = suite.gateways
    for shown in (None, "a.b.c"):
        assert (await post(here, "/api/v1/auth/refresh", {}, token=shown)).status == 401
    players = await token(here, await key_of(suite, "server"), player_id=str(next(_NUMBERS)))
    async with http_client(headers={"Authorization": f"Bearer {players}"}) as client:
        assert (await client.get(f"{there}/api/v1/zones")).status_code == 200
