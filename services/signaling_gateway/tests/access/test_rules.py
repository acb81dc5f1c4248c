"""The rules of access as tables: who gets a token, what a late one means, whom a revocation reaches, what is told."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from chassis.refusals import ServiceError
from contracts.access import AuditAction, Role
from contracts.refusals import Code
from signaling_gateway.access import keys
from signaling_gateway.access.families import Family, Late, judge_late
from signaling_gateway.access.identity import ANYBODY, Identity
from signaling_gateway.access.refusal_tally import FIRST, MOST_NAMES, WINDOW, RefusalTally
from signaling_gateway.access.revocations import KeyHeld, Kick, Revocations
from signaling_gateway.access.wishes import WarpDoor, Wish, granted

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
DIGITS = re.compile("[0-9]+")
SERVER = Identity(Role.SERVER, "k-1", key_id="k-1")
OPERATOR = Identity(Role.OPERATOR, "k-2", key_id="k-2")
PLAYER = Identity(Role.PLAYER, "ann", peer_id="ann", key_id="k-1")

OPEN, SHUT = WarpDoor(True, DIGITS), WarpDoor(False, DIGITS)
BY_SERVER, BY_CLIENT = Wish("150001"), Wish("150001", from_client=True)


@pytest.mark.parametrize(
    ("wish", "by", "door", "enforced", "becomes"),
    [
        (BY_SERVER, ANYBODY, SHUT, False, Role.PLAYER),
        (BY_CLIENT, ANYBODY, SHUT, False, Role.PLAYER),
        (Wish("h", Role.HOST, "h"), ANYBODY, SHUT, False, Role.HOST),
        (BY_SERVER, SERVER, SHUT, True, Role.PLAYER),
        (BY_CLIENT, SERVER, SHUT, True, Role.PLAYER),
        (Wish("h", Role.HOST, "h"), OPERATOR, SHUT, True, Role.HOST),
        (BY_CLIENT, ANYBODY, OPEN, True, Role.ANONYMOUS),
        (BY_SERVER, ANYBODY, OPEN, True, Code.UNAUTHENTICATED),
        (BY_SERVER, PLAYER, OPEN, True, Code.UNAUTHENTICATED),
        (Wish("h", Role.HOST, "h"), ANYBODY, OPEN, True, Code.UNAUTHENTICATED),
        (BY_CLIENT, ANYBODY, SHUT, True, Code.UNAUTHENTICATED),
        (Wish("ann", from_client=True), ANYBODY, OPEN, True, Code.FORBIDDEN),
        (Wish("150001x", from_client=True), ANYBODY, OPEN, True, Code.FORBIDDEN),
    ],
)
def test_a_token_is_made_for_who_may_have_one(wish, by, door, enforced, becomes):
    try:
        outcome: Role | Code = granted(wish, by, door, enforced=enforced).role
    except ServiceError as error:
        outcome = error.refusal.code

    assert outcome is becomes


def family(generation: int, *, by_exchange: bool = False, ago: timedelta = timedelta(0), **changes) -> Family:
    fields: dict[str, Any] = {"family_id": "f", "role": Role.PLAYER, "peer_id": "ann", "host_id": None, "key_id": None}
    fields |= {"advanced_at": NOW - ago, "expires_at": NOW + SECOND} | changes
    return Family(generation=generation, by_exchange=by_exchange, **fields)


@pytest.mark.parametrize(
    ("found", "generation", "by_exchange", "judgement"),
    [
        (family(4), 3, False, Late.REVOKE),
        (family(9, by_exchange=True), 3, False, Late.REVOKE),
        (family(4), 5, False, Late.REFUSE),
        (None, 3, False, Late.REFUSE),
        (family(4, revoked_at=NOW), 3, False, Late.REFUSE),
        (family(4, expires_at=NOW), 3, False, Late.REFUSE),
        (family(4, by_exchange=True), 3, True, Late.REPEAT),
        (family(4, by_exchange=True, ago=timedelta(seconds=60)), 3, True, Late.REPEAT),
        (family(4, by_exchange=True, ago=timedelta(seconds=61)), 3, True, Late.REFUSE),
        (family(4), 3, True, Late.REFUSE),
        (family(5, by_exchange=True), 3, True, Late.REFUSE),
        (family(4, by_exchange=True, revoked_at=NOW), 3, True, Late.REFUSE),
    ],
)
def test_what_a_second_use_of_a_token_means(found, generation, by_exchange, judgement):
    assert judge_late(found, generation, NOW, by_exchange=by_exchange) is judgement


HELD = Revocations(key_ids=frozenset({"k-1"}), kicks={"ann": Kick(NOW, "cheats")}, families=frozenset({"stolen"}))


@pytest.mark.parametrize(
    ("identity", "why"),
    [
        (Identity(Role.PLAYER, "bob", peer_id="bob", key_id="k-1", issued_at=NOW), None),
        (Identity(Role.PLAYER, "bob", peer_id="bob", key_id="gone", issued_at=NOW), "its key was revoked"),
        (Identity(Role.PLAYER, "bob", peer_id="bob", family_id="stolen", issued_at=NOW), "its tokens were revoked"),
        (Identity(Role.PLAYER, "ann", peer_id="ann", issued_at=NOW), "kicked"),
        (Identity(Role.PLAYER, "ann", peer_id="ann"), "kicked"),
        (Identity(Role.HOST, "h", host_id="h", peer_id="ann", issued_at=NOW - SECOND), "kicked"),
        (Identity(Role.PLAYER, "ann", peer_id="ann", issued_at=NOW + SECOND), None),
        (ANYBODY, None),
    ],
)
def test_what_revocations_say_against_somebody(identity, why):
    assert HELD.against(identity) == why


def test_a_kicked_peer_gets_nothing_new_until_its_kick_ends():
    assert HELD.keeps_out("ann", NOW) is not None
    assert HELD.keeps_out("ann", NOW + SECOND) is None
    assert HELD.keeps_out("bob", NOW) is None


def test_a_key_is_known_by_its_fingerprint_alone():
    key = keys.written(Role.SERVER, bytes(range(32)))
    held = Revocations(keys={keys.fingerprint(key): KeyHeld(keys.id_of(key), Role.SERVER)})

    assert re.fullmatch(r"p2p_server_[\w-]{43}", key)
    assert held.holder_of(key) == KeyHeld(keys.id_of(key), Role.SERVER)
    for other in (key[:-1], key + "x", key.upper(), "", keys.written(Role.OPERATOR, bytes(range(32)))):
        assert held.holder_of(other) is None
    assert key not in repr(held)


def test_a_flood_of_refusals_is_a_few_records_and_a_number():
    tally = RefusalTally(NOW)
    told = sum(tally.tells(AuditAction.TOKEN_REFUSED, "10.0.0.1") for _ in range(1000))

    assert told == FIRST
    assert tally.close(NOW + WINDOW - SECOND) == {}
    assert tally.close(NOW + WINDOW) == {AuditAction.TOKEN_REFUSED: 1000 - FIRST}
    assert tally.close(NOW + 2 * WINDOW) == {}
    assert tally.tells(AuditAction.TOKEN_REFUSED, "10.0.0.1")


def test_names_that_a_flooder_makes_up_are_not_all_told():
    tally = RefusalTally(NOW)
    told = sum(tally.tells(AuditAction.PERMISSION_REFUSED, str(number)) for number in range(1000))

    assert told == MOST_NAMES
