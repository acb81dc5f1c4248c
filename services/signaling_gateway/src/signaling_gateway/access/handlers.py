"""What operators ask over NATS: whoever may ask on these subjects is one."""

from chassis.requests import Asked
from chassis.responder import Responder
from contracts.access import (
    CREATE_KEY,
    KICK,
    LIST_KEYS,
    REVOKE_KEY,
    ApiKey,
    CreateKey,
    KeyCreated,
    Kick,
    Kicked,
    RevokeKey,
    Role,
)

from signaling_gateway.access.administration import Administration
from signaling_gateway.access.identity import Identity


def answer_operators(responder: Responder, administration: Administration) -> None:
    """Answer what the command line asks."""

    async def create_key(question: CreateKey, asked: Asked) -> KeyCreated:
        return await administration.create_key(question, _operator(asked))

    async def revoke_key(question: RevokeKey, asked: Asked) -> ApiKey:
        return await administration.revoke_key(question, _operator(asked))

    async def kick(question: Kick, asked: Asked) -> Kicked:
        return await administration.kick(question, _operator(asked))

    responder.answer(CREATE_KEY, create_key)
    responder.answer(LIST_KEYS, administration.list_keys)
    responder.answer(REVOKE_KEY, revoke_key)
    responder.answer(KICK, kick)


def _operator(asked: Asked) -> Identity:
    return Identity(Role.OPERATOR, asked.caller.name if asked.caller is not None else "nats")
