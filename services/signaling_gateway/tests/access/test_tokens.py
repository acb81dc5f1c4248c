"""Tokens, with the clock in hand: what is read back, and what is refused whatever else it says, of either algorithm."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import timedelta
from typing import Any

import jwt
import pytest
from contracts.access import Role
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from signaling_gateway.access.errors import BAD_TOKEN, BadTokenError
from signaling_gateway.access.identity import Identity
from signaling_gateway.access.signing import Algorithm, KeyPair, SharedSecret, signing_key
from signaling_gateway.access.tokens import ACCESS, ISSUER, LONGEST, REFRESH, TICKET, Tokens
from testkit.clock import ManualClock

from services.signaling_gateway.tests.access.forging import kid_of, signed, unsigned

SECRET = "k3Zq9vXw2LmPpR7tYb4NcD8sFh1JgA6uE0iOQ5Wx"
OLDER = "Zt8rM1nB5vC3xL7kJ9hG2fD4sA6pO0iU8yT1rE3w"
LIFE = timedelta(seconds=3840)
ORDER = 2**252 + 27742317777372353535851937790883648493
"""Of Ed25519's group: a verifier that does not look takes a signature's scalar with this added for the same."""
ANN = Identity(Role.PLAYER, "ann", peer_id="ann", key_id="k-1", family_id="f", generation=3)


@pytest.fixture(params=Algorithm)
def algorithm(request: pytest.FixtureRequest) -> Algorithm:
    return Algorithm(request.param)


@pytest.fixture
def tokens(algorithm: Algorithm) -> Tokens:
    return Tokens([SECRET], LIFE, algorithm)


def claimed(clock: ManualClock, **changes: Any) -> dict[str, Any]:
    """What a token of ours says, but for what is said here."""
    now = clock.now().timestamp()
    claims = {"iss": ISSUER, "aud": ACCESS, "sub": "ann", "role": "player", "peer": "ann", "jti": "1"}
    claims |= {"iat": now, "nbf": now, "exp": now + 60} | changes
    return {name: value for name, value in claims.items() if value is not None}


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


def test_a_forgery_that_differs_in_nothing_is_none(tokens: Tokens, clock: ManualClock, algorithm: Algorithm):
    assert tokens.read(signed(claimed(clock), SECRET, algorithm), clock.now()).peer_id == "ann"


def test_the_longest_names_fit(tokens: Tokens, clock: ManualClock):
    for name in ("n" * 128, "\U0001d538" * 16, '"' * 64):
        long = Identity(Role.HOST, name, peer_id=name, host_id=name, key_id="k-0123456789ab", family_id="f" * 36)

        token = tokens.access(long, clock.now(), "j" * 36)

        assert len(token) < LONGEST
        assert tokens.read(token, clock.now()).host_id == name


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
def test_what_is_wrong_in_it_is_refused_in_the_same_words(
    changes: dict[str, Any], tokens: Tokens, clock: ManualClock, algorithm: Algorithm
):
    with pytest.raises(BadTokenError) as refused:
        tokens.read(signed(claimed(clock, **changes), SECRET, algorithm), clock.now())

    assert refused.value.refusal.detail == BAD_TOKEN


def test_unsigned_ones_and_other_keys_are_refused(tokens: Tokens, clock: ManualClock, algorithm: Algorithm):
    claims, kid = claimed(clock), signing_key(SECRET, algorithm).kid
    good = signed(claims, SECRET, algorithm)
    head, payload, signature = good.split(".")

    for token in (
        unsigned(claims, kid),
        jwt.encode(claims, SECRET * 2, "HS512", headers={"kid": kid}),
        signed(claims, OLDER, algorithm),
        signed(claims, OLDER, algorithm, kid=kid),
        f"{head}.{payload}.",
        f"{head}.{payload}.{'A' * len(signature)}",
        good[:-4],
        f"{good}AAAA",
        *("a.b.c", "", "é.é.é", "x" * 9999),
    ):
        with pytest.raises(BadTokenError):
            tokens.read(token, clock.now())
    assert tokens.read(good, clock.now()).peer_id == "ann"


def test_what_everybody_knows_of_a_pair_signs_nothing(tokens: Tokens, clock: ManualClock):
    pair, claims = KeyPair(SECRET), claimed(clock)
    known = bytes(pair.verifying)

    for public in (known, known.hex(), pair.public.x, f'{{"x":"{pair.public.x}"}}'):
        for kid in (pair.kid, SharedSecret(SECRET).kid):
            with pytest.raises(BadTokenError):
                tokens.read(jwt.encode(claims, public, "HS256", headers={"kid": kid}), clock.now())


def test_a_key_is_for_one_algorithm_though_the_secret_is_the_same(tokens: Tokens, clock: ManualClock):
    claims = claimed(clock)

    for algorithm, other in ((Algorithm.EDDSA, Algorithm.HS256), (Algorithm.HS256, Algorithm.EDDSA)):
        token = signed(claims, SECRET, algorithm, kid=signing_key(SECRET, other).kid)
        with pytest.raises(BadTokenError):
            tokens.read(token, clock.now())


def test_a_key_that_a_token_brings_along_is_none_of_ours(tokens: Tokens, clock: ManualClock):
    theirs, ours, claims = KeyPair(OLDER), KeyPair(SECRET), claimed(clock)
    key = Ed25519PrivateKey.from_private_bytes(bytes(theirs.signing))
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": theirs.public.x}
    extras: tuple[dict[str, Any], ...] = (
        {"jwk": jwk},
        {"jku": "https://evil.example/jwks.json"},
        {"x5u": "https://evil.example/key.pem"},
    )

    for extra in extras:
        for kid in (ours.kid, theirs.kid, "", "../jwt"):
            with pytest.raises(BadTokenError):
                tokens.read(jwt.encode(claims, key, "EdDSA", headers={"kid": kid} | extra), clock.now())


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "EdDSA"},
        {"alg": "EdDSA", "kid": None},
        {"alg": "EdDSA", "kid": ["Ns1ynpDg4F0K5xpxdP0symjx2ZAShCqtkyURtEjXhpA"]},
        {"alg": ["EdDSA"], "kid": "Ns1ynpDg4F0K5xpxdP0symjx2ZAShCqtkyURtEjXhpA"},
        {"kid": "Ns1ynpDg4F0K5xpxdP0symjx2ZAShCqtkyURtEjXhpA"},
        {"alg": "eddsa", "kid": "Ns1ynpDg4F0K5xpxdP0symjx2ZAShCqtkyURtEjXhpA"},
        {"alg": "EdDSA", "kid": "Ns1ynpDg4F0K5xpxdP0symjx2ZAShCqtkyURtEjXhpA", "crit": ["exp"]},
        {"alg": "EdDSA", "kid": "Ns1ynpDg4F0K5xpxdP0symjx2ZAShCqtkyURtEjXhpA", "b64": False, "crit": ["b64"]},
    ],
    ids=str,
)
def test_a_header_of_another_shape_is_refused_though_the_signature_is_ours(header: dict[str, Any], clock: ManualClock):
    tokens, usual = Tokens([SECRET], LIFE), {"alg": "EdDSA", "kid": KeyPair(SECRET).kid}

    assert tokens.read(sealed(usual, claimed(clock)), clock.now()).peer_id == "ann"
    with pytest.raises(BadTokenError):
        tokens.read(sealed(header, claimed(clock)), clock.now())


def sealed(header: dict[str, Any], claims: dict[str, Any]) -> str:
    """Sign exactly this with our own pair."""
    parts = [urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims)]
    signature = KeyPair(SECRET).signing.sign(b".".join(parts)).signature
    return b".".join([*parts, urlsafe_b64encode(signature).rstrip(b"=")]).decode()


def test_of_one_signature_nobody_makes_another(clock: ManualClock):
    good = signed(claimed(clock), SECRET, Algorithm.EDDSA)
    message, _, signature = good.rpartition(".")
    raw = urlsafe_b64decode(signature + "==")
    scalar = int.from_bytes(raw[32:], "little") + ORDER
    another = urlsafe_b64encode(raw[:32] + scalar.to_bytes(32, "little")).decode().rstrip("=")

    with pytest.raises(BadTokenError):
        Tokens([SECRET], LIFE).read(f"{message}.{another}", clock.now())


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


def test_after_a_rotation_tokens_of_before_hold_while_their_key_is_kept(clock: ManualClock, algorithm: Algorithm):
    before = Tokens([OLDER], LIFE, algorithm).access(ANN, clock.now(), "1")

    assert Tokens([SECRET, OLDER], LIFE).read(before, clock.now()).peer_id == "ann"
    with pytest.raises(BadTokenError):
        Tokens([SECRET], LIFE).read(before, clock.now())
    with pytest.raises(BadTokenError):
        Tokens([OLDER], LIFE).read(Tokens([SECRET, OLDER], LIFE).access(ANN, clock.now(), "1"), clock.now())


def test_after_an_upgrade_tokens_of_before_hold_and_a_pair_signs(clock: ManualClock):
    written_before = jwt.encode(claimed(clock), SECRET, "HS256", headers={"kid": "d6582cc8"})
    tokens = Tokens([SECRET], LIFE)

    assert tokens.read(written_before, clock.now()).peer_id == "ann"
    assert jwt.get_unverified_header(tokens.access(ANN, clock.now(), "1"))["alg"] == "EdDSA"


def test_whoever_has_the_public_keys_verifies_tokens_by_the_key_that_each_names(clock: ManualClock):
    before, tokens = Tokens([OLDER], LIFE), Tokens([SECRET, OLDER], LIFE)
    document = {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": key.x, "kid": key.kid} for key in tokens.public_keys]}
    keys = jwt.PyJWKSet.from_dict(document)

    for token in (before.access(ANN, clock.now(), "1"), tokens.access(ANN, clock.now(), "1")):
        key = keys[kid_of(token)]
        claims = jwt.decode(token, key, algorithms=["EdDSA"], audience=ACCESS, options={"verify_exp": False})
        assert claims["peer"] == "ann"
    assert len(document["keys"]) == 2


def test_a_secret_always_makes_the_same_pair():
    public = KeyPair(SECRET).public

    assert public == KeyPair(SECRET).public
    assert public != KeyPair(OLDER).public
    assert public.x == "RFUAw-xJNSGA00qJaHVWp2bjYtUnN58ByKsVX4tIXnw"
    assert public.kid == "Ns1ynpDg4F0K5xpxdP0symjx2ZAShCqtkyURtEjXhpA"
