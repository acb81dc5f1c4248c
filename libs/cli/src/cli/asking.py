"""Asking a suite from a subcommand, and what to do when it cannot be asked or refuses."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from contracts.refusals import Code
from sdk import CredentialsError, P2pError, RefusedError, UnreachableError
from sdk.nats_link import NatsLink, nats_link

from cli.answers import Asker
from cli.entrance import Entrance
from cli.gateway import calling
from cli.reach import KEY_VARIABLE, Where

NAME = "p2p"

CONNECTED_WITHIN_S = 3.0
"""Whoever typed a wrong address wants to know; a NATS that restarts is back within one."""

OWNERS = {
    "hosts": "host_registry",
    "zones": "zone_manager",
    "sessions": "session_manager",
    "jobs": "scheduler",
    "feeds": "scheduler",
    "access": "gateway",
}
"""Who answers the requests p2p.<word>.*"""

Answer = TypeVar("Answer")


def answered(asking: Coroutine[Any, Any, Answer]) -> Answer:
    """Wait for the answer; end the program with the reason and what to do when there is none."""
    try:
        return asyncio.run(asking)
    except P2pError as error:
        sys.exit(f"error: {advice(error)}")


@asynccontextmanager
async def entered(where: Where) -> AsyncIterator[Asker]:
    """The suite that is meant, to be asked."""
    if where.url is not None:
        async with calling(where.url, where.key) as gateway:
            yield gateway
    else:
        async with linked(where.entrance()) as link:
            yield link


@asynccontextmanager
async def linked(entrance: Entrance) -> AsyncIterator[NatsLink]:
    """Connect, or say soon that it does not go."""
    # What it meets on the way we say ourselves, in one line and with what to do.
    logging.getLogger("sdk.nats_link").setLevel(logging.CRITICAL)
    try:
        async with (
            asyncio.timeout(CONNECTED_WITHIN_S) as limit,
            nats_link(entrance.nats, NAME, entrance.credentials) as link,
        ):
            limit.reschedule(None)
            yield link
    except TimeoutError:
        raise UnreachableError(f"NATS at {entrance.nats}", f"no answer within {CONNECTED_WITHIN_S:g} s") from None


def advice(error: P2pError) -> str:
    """Say what is wrong, and what to do about it."""
    match error:
        case RefusedError():
            return _about_refusal(error)
        case CredentialsError():
            return f"{error}, and NATS_CREDS names them" if error.credentials is None else str(error)
        case UnreachableError(where=where) if (owner := _owner(where)) is not None:
            return f"no {owner} answers; `p2p status` shows whether one runs"
        case UnreachableError():
            return f"{error}; is it up, and the address right?"
        case _:
            return str(error)


_LISTED = {
    Code.HOST_NOT_FOUND: "p2p hosts",
    Code.ZONE_NOT_FOUND: "p2p zones",
    Code.SESSION_NOT_FOUND: "p2p sessions",
    Code.KEY_NOT_FOUND: "p2p keys list",
}


def _about_refusal(error: RefusedError) -> str:
    detail = error.refusal.detail
    match error.code:
        case Code.UNAVAILABLE | Code.DEADLINE_EXCEEDED:
            return f"{detail} Try again in a few seconds; `p2p status` shows what is away"
        case Code.UNAUTHENTICATED:
            return f"{detail} Name a good key with --key or {KEY_VARIABLE}; `p2p keys create --role operator` makes one"
        case Code.FORBIDDEN:
            return f"{detail} It takes another key; `p2p keys create --role operator` makes one that may"
        case code if code in _LISTED:
            return f"{detail} `{_LISTED[code]}` shows those there are"
        case code:
            return f"{detail} ({code})"


def _owner(subject: str) -> str | None:
    suite, _, rest = subject.partition(".")
    return OWNERS.get(rest.partition(".")[0]) if suite == "p2p" else None
