"""A command repeated under the same key gets its first answer again.

The key is kept in the transaction of the work itself, so either both are there or neither; a repeat that arrives while
the first is still at work waits for it, on the key's row.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from hashlib import sha256

from contracts.refusals import Code
from contracts.subjects import Message
from pydantic import BaseModel

from chassis.database import Database, Transaction
from chassis.refusals import ServiceError
from chassis.requests import Asked

KEPT = timedelta(hours=24)

# $1 caller, $2 subject, $3 key
_FIND = "SELECT question_hash, answer FROM idempotency WHERE caller = $1 AND subject = $2 AND key = $3"
# $1 caller, $2 subject, $3 key, $4 question_hash
_CLAIM = """
INSERT INTO idempotency (caller, subject, key, question_hash) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING
"""
# $1 caller, $2 subject, $3 key, $4 answer
_ANSWER = "UPDATE idempotency SET answer = $4 WHERE caller = $1 AND subject = $2 AND key = $3"
_FORGET = "DELETE FROM idempotency WHERE created_at < now() - $1::interval"

Work = Callable[[Transaction], Awaitable[BaseModel | bytes]]


class IdempotencyKeyReusedError(ServiceError):
    """The key came with another question before."""

    code = Code.IDEMPOTENCY_KEY_REUSED


async def recall(statements: Database | Transaction, asked: Asked, question: Message) -> bytes | None:
    """Give the answer this question had under its key before, if any: a look ahead for work that asks others."""
    if asked.idempotency_key is None:
        return None
    row = await statements.fetchrow("idempotency.find", _FIND, *_key(asked))
    if row is None:
        return None
    if row["question_hash"] != _hash(question):
        raise IdempotencyKeyReusedError(f"The key {asked.idempotency_key!r} was used for another request.")
    answer: bytes | None = row["answer"]
    return answer


async def once(database: Database, asked: Asked, question: Message, work: Work) -> bytes:
    """Do `work` in a transaction unless it was done under this key before; give its answer's JSON.

    A refusal rolls everything back, the key with it: the same key may try again.
    """

    async def in_transaction(transaction: Transaction) -> bytes:
        if asked.idempotency_key is None:
            return _encoded(await work(transaction))
        claimed = await transaction.execute("idempotency.claim", _CLAIM, *_key(asked), _hash(question))
        if claimed != "INSERT 0 1":
            first = await recall(transaction, asked, question)
            if first is not None:
                return first
        answer = _encoded(await work(transaction))
        await transaction.execute("idempotency.answer", _ANSWER, *_key(asked), answer)
        return answer

    return await database.transact(in_transaction)


async def forget_old_answers(database: Database) -> None:
    """Delete what nobody repeats any more; a service runs it by its loops, every hour or so."""
    await database.execute("idempotency.forget", _FORGET, KEPT)


def _key(asked: Asked) -> tuple[str, str, str | None]:
    return (asked.caller.as_header() if asked.caller else "", asked.subject, asked.idempotency_key)


def _hash(question: Message) -> bytes:
    return sha256(question.__pydantic_serializer__.to_json(question)).digest()


def _encoded(answer: BaseModel | bytes) -> bytes:
    return answer if isinstance(answer, bytes) else answer.__pydantic_serializer__.to_json(answer)
