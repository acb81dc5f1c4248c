"""The demo as a game's backend: a server's key of its own while it runs, and a token for the player on its page."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiohttp
from contracts.access import CREATE_KEY, REVOKE_KEY, CreateKey, RevokeKey, Role
from contracts.refusals import Code
from sdk import GameServer, P2pError, RefusedError, ServerKey, TokenDesk

from cli.entrance import Entrance

NAME = "p2p demo"

KNOWN_AFTER_S = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""When to try again: a key that one gateway has made is news to another for a moment."""


@asynccontextmanager
async def key_for(
    nats: Entrance | None, key: str | None, say: Callable[[str], None]
) -> AsyncIterator[ServerKey | None]:
    """Give the key, or one that is good until the block ends, where the suite asks who calls; else None."""
    if key is not None or nats is None or nats.credentials is None:
        yield ServerKey(key) if key is not None else None
        return
    async with GameServer(nats.nats, NAME, nats.credentials) as suite:
        made = await suite.ask(CREATE_KEY, CreateKey(role=Role.SERVER, name=NAME))
        try:
            yield ServerKey(made.key)
        finally:
            try:
                await suite.ask(REVOKE_KEY, RevokeKey(key_id=made.key_id))
            except P2pError as error:
                say(f"the demo's key is good still: {error}; `p2p keys revoke {made.key_id}` ends it")


async def player_token(gateway: str, key: ServerKey, player_id: str) -> str:
    async with aiohttp.ClientSession() as http:
        desk = TokenDesk(http, gateway, key)
        for wait in KNOWN_AFTER_S:
            try:
                return (await desk.for_player(player_id)).token
            except RefusedError as error:
                if error.code is not Code.UNAUTHENTICATED:
                    raise
                await asyncio.sleep(wait)
        return (await desk.for_player(player_id)).token
