"""A command repeated under its key is done once."""

import asyncio

import pytest
from chassis.idempotency import IdempotencyKeyReusedError, forget_old_answers, once, recall
from chassis.requests import Asked, Caller

from libs.chassis.tests.messages import Double, Doubled, FullError

ASKED = Asked("p2p.test.double", Caller("player", "a"), "key-1")


@pytest.fixture
async def counted(database):
    await database.execute("done.create", "CREATE TABLE done (number int)")
    return database


async def done(database) -> int:
    count: int = await database.fetchval("done.count", "SELECT count(*) FROM done")
    return count


def doubling(number: int):
    async def work(transaction) -> Doubled:
        await transaction.execute("done.add", "INSERT INTO done VALUES ($1)", number)
        return Doubled(number=2 * number)

    return work


async def test_the_first_answer_is_given_again_and_the_work_done_once(counted):
    first = await once(counted, ASKED, Double(number=4), doubling(4))
    again = await once(counted, ASKED, Double(number=4), doubling(5))
    assert first == again == b'{"number":8,"by":""}'
    assert await done(counted) == 1


async def test_the_same_key_with_another_question_is_refused(counted):
    await once(counted, ASKED, Double(number=4), doubling(4))
    with pytest.raises(IdempotencyKeyReusedError):
        await once(counted, ASKED, Double(number=5), doubling(5))
    with pytest.raises(IdempotencyKeyReusedError):
        await recall(counted, ASKED, Double(number=5))


async def test_another_caller_or_request_may_use_the_same_key(counted):
    for asked in (ASKED, Asked("p2p.test.other", ASKED.caller, "key-1"), Asked(ASKED.subject, None, "key-1")):
        await once(counted, asked, Double(number=4), doubling(4))
    assert await done(counted) == 3


async def test_without_a_key_every_command_is_done(counted):
    asked = Asked("p2p.test.double")
    for _ in range(2):
        await once(counted, asked, Double(number=4), doubling(4))
    assert await recall(counted, asked, Double(number=4)) is None
    assert await done(counted) == 2


async def test_repeats_in_flight_wait_for_the_first(counted):
    answers = await asyncio.gather(*(once(counted, ASKED, Double(number=4), doubling(4)) for _ in range(8)))
    assert set(answers) == {b'{"number":8,"by":""}'}
    assert await done(counted) == 1


async def test_a_refusal_frees_the_key(counted):
    async def refuse(transaction) -> Doubled:
        raise FullError("No seat is left.")

    with pytest.raises(FullError):
        await once(counted, ASKED, Double(number=4), refuse)
    await once(counted, ASKED, Double(number=4), doubling(4))
    assert await done(counted) == 1


async def test_old_answers_are_forgotten_and_young_ones_kept(counted):
    await once(counted, ASKED, Double(number=4), doubling(4))
    await forget_old_answers(counted)
    assert await recall(counted, ASKED, Double(number=4)) is not None
    await counted.execute("age", "UPDATE idempotency SET created_at = now() - interval '25 hours'")
    await forget_old_answers(counted)
    assert await recall(counted, ASKED, Double(number=4)) is None
