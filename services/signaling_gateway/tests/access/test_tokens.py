"""Tokens, with the clock in hand: what is read back, and what is refused whatever else it says."""

from datetime import timedelta
from typing import Any

import jwt
import pytest
from contracts.access import Role
from signaling_gateway.access.errors import BAD_TOKEN, BadTokenError
from signaling_gateway.access.identity import Identity
from signaling_gateway.access.tokens import ACCESS, ISSUER, REFRESH, TICKET, SigningKey, Tokens
from testkit.clock import ManualClock

SECRET = "k3Zq9vXw2LmPpR7tYb4NcD8sFh1JgA6uE0iOQ5Wx"
OLDER = "Zt8rM1nB5vC3xL7kJ9hG2fD4sA6pO0iU8yT1rE3w"
LIFE = timedelta(seconds=3840)
ANN = Identity(Role.PLAYER, "ann", peer_id="ann", key_id="k-1", family_id="f", generation=3)


@pytest.fixture
def tokens() -> Tokens:
    return Tokens([SECRET], LIFE)


def forged(clock: ManualClock, secret: str = SECRET, algorithm: str = "HS256", **changes: Any) -> str:
    """A token as ours are but for what is said."""
    now = clock.now().timestamp()
    claims = {"iss": ISSUER, "aud": ACCESS, "sub": "ann", "role": "player", "peer": "ann", "jti": "1"}
    claims |= {"iat": now, "nbf": now, "exp": now + 60} | changes
    given = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(given, secret, algorithm, headers={"kid": SigningKey(SECRET).kid})


def test_what_is_written_is_read_back(tokens: Tokens, clock: ManualClock):
    read = tokens.read(tokens.access(ANN, clock.now(), "1"), clock.now())

    assert (read.role, read.name, read.peer_id, read.key_id, read.family_id, read.generation) == (
        ANN.role,
        ANN.name,
        ANN.peer_id,
        ANN.key_id,
        ANN.family_id,
        ANN.generation,
    )
    assert (read.issued_at, read.expires_at) == (clock.now(), clock.now() + LIFE)


def test_a_forgery_that_differs_in_nothing_is_none(tokens: Tokens, clock: ManualClock):
    assert tokens.read(forged(clock), clock.now()).peer_id == "ann"


def test_it_ends_when_its_time_is_over_and_not_before(tokens: Tokens, clock: ManualClock):
    token = tokens.access(ANN, clock.now(), "1")

    clock.advance(LIFE - timedelta(seconds=1))
    assert tokens.read(token, clock.now()).peer_id == "ann"
    clock.advance(timedelta(seconds=1))
    with pytest.raises(BadTokenError, match=BAD_TOKEN):
        tokens.read(token, clock.now())


def test_for_an_exchange_it_may_have_ended_a_while_ago(tokens: Tokens, clock: ManualClock):
    token = tokens.access(ANN, clock.now(), "1")
    late = timedelta(minutes=5)

    clock.advance(LIFE + late - timedelta(seconds=1))
    assert tokens.read(token, clock.now(), late=late).peer_id == "ann"
    clock.advance(timedelta(seconds=1))
    with pytest.raises(BadTokenError):
        tokens.read(token, clock.now(), late=late)


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "somebody-else"},
        {"aud": [REFRESH, "x"]},
        {"aud": TICKET},
        {"iss": "somebody-else"},
        {"nbf": 1_767_268_800.0 + 60},
        {"exp": 0},
        {"exp": 1e30},
        {"exp": "tomorrow"},
        {"nbf": None},
        {"exp": None},
        {"jti": None},
        {"role": "king"},
        {"role": None},
        {"sub": 7},
    ],
    ids=str,
)
def test_what_is_wrong_in_it_is_refused_in_the_same_words(changes: dict[str, Any], tokens: Tokens, clock: ManualClock):
    with pytest.raises(BadTokenError) as refused:
        tokens.read(forged(clock, **changes), clock.now())

    assert refused.value.refusal.detail == BAD_TOKEN


def test_unsigned_ones_and_other_algorithms_are_refused(tokens: Tokens, clock: ManualClock):
    unsigned = jwt.encode({"sub": "ann"}, "", algorithm="none", headers={"kid": SigningKey(SECRET).kid})

    for token in (unsigned, forged(clock, SECRET * 2, "HS512"), forged(clock, OLDER), "a.b.c", "", "é.é.é", "x" * 9999):
        with pytest.raises(BadTokenError):
            tokens.read(token, clock.now())


def test_a_token_is_for_one_thing(tokens: Tokens, clock: ManualClock):
    now = clock.now()
    refresh = tokens.refresh(ANN, now, "1", now + timedelta(hours=1))
    ticket = tokens.ticket(ANN, now, "1")

    for token, audience in (
        (refresh, ACCESS),
        (ticket, ACCESS),
        (ticket, REFRESH),
        (tokens.access(ANN, now, "1"), REFRESH),
    ):
        with pytest.raises(BadTokenError):
            tokens.read(token, now, (audience,))
    assert tokens.read(ticket, now, (ACCESS, TICKET)).expires_at == now + timedelta(seconds=60)


def test_after_a_rotation_tokens_of_before_hold_while_their_key_is_kept(clock: ManualClock):
    before = Tokens([OLDER], LIFE).access(ANN, clock.now(), "1")

    assert Tokens([SECRET, OLDER], LIFE).read(before, clock.now()).peer_id == "ann"
    with pytest.raises(BadTokenError):
        Tokens([SECRET], LIFE).read(before, clock.now())
    with pytest.raises(BadTokenError):
        Tokens([OLDER], LIFE).read(Tokens([SECRET, OLDER], LIFE).access(ANN, clock.now(), "1"), clock.now())
