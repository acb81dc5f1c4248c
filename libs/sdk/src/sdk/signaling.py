"""Our connection to a signaling gateway, made again, on whichever gateway answers, each time it is lost."""

import asyncio
import json
import random
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Final

import aiohttp
from contracts.closing import CloseCode
from contracts.frames import OUT, FrameIn, FrameOut, Reconnect
from contracts.npcs import NpcFeed
from pydantic import ValidationError
from yarl import URL

from sdk.backoff import Backoff
from sdk.errors import NotAllowedError, RefusedError, ReplacedError, UnreachableError, words_of
from sdk.rest import bearer
from sdk.tokens import Tokens

FORBIDDEN: Final = frozenset({401, 403})
"""How a gateway says NOT_ALLOWED before there is a WebSocket."""

HEARTBEAT_S = 20.0
"""The gateway pings as often; ours notices a gateway that vanished without a word."""

CONNECT_WITHIN_S = 10.0
"""A gateway that does not shake hands by then is as good as away."""

STEADY_AFTER_S = 5.0
"""A connection that lasted this long counts as good: the next loss begins the back-off anew."""

SEND_WITHIN_S = 10.0
"""An answer that waits longer for the connection's return is for a player who gave up."""

MAX_FRAME_BYTES = 1024 * 1024
"""The gateway takes 64 KiB from a peer; its own frames about a large session may be longer."""

ENDED: Final = frozenset(
    {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSING, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR}
)

Heard = FrameOut | NpcFeed

_FRAMES: Mapping[str, type[Heard]] = {kind.model_fields["type"].default: kind for kind in OUT}


class SignalingSocket:
    """One connection at a time; frames in the order they come, frames out whenever there is a connection."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        url: str,
        peer_id: str,
        *,
        tokens: Tokens,
        on_frame: Callable[[Heard], None],
        on_connected: Callable[[], None],
        on_lost: Callable[[str, timedelta], None],
        backoff: Backoff,
    ) -> None:
        self._http = http
        self._url = URL(url.rstrip("/") + "/api/v1/signaling/ws").with_query(peer_id=peer_id)
        self._peer_id = peer_id
        self._tokens = tokens
        self._token_is_new = False
        """Because the one before was refused."""
        self._on_frame = on_frame
        self._on_connected = on_connected
        self._on_lost = on_lost
        self._backoff = backoff
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._connected = asyncio.Event()

    async def run(self) -> None:
        """Keep the connection until cancelled; raise ReplacedError or NotAllowedError when coming back is wrong."""
        clock = asyncio.get_running_loop().time
        attempt = 0
        while True:
            began_at = clock()
            reason, wanted = await self._attempt()
            if clock() - began_at > STEADY_AFTER_S:
                attempt, self._token_is_new = 0, False
            wait = self._backoff.delay(attempt, random.random())  # noqa: S311 -- spreads load, guards nothing
            attempt += 1
            wait = wait if wanted is None else wanted
            self._on_lost(reason, wait)
            await asyncio.sleep(wait.total_seconds())

    async def send(self, frame: FrameIn) -> None:
        """Send a frame, waiting a while for a connection; UnreachableError when none comes."""
        try:
            async with asyncio.timeout(SEND_WITHIN_S):
                while True:
                    await self._connected.wait()
                    if self._socket is not None and await self._sent(self._socket, frame):
                        return
        except TimeoutError:
            raise UnreachableError(str(self._url.origin()), "the signaling connection is away") from None

    async def _sent(self, socket: aiohttp.ClientWebSocketResponse, frame: FrameIn) -> bool:
        try:
            await socket.send_str(frame.model_dump_json(exclude_none=True))
        except (ConnectionError, aiohttp.ClientError):
            self._connected.clear()
            return False
        return True

    async def _attempt(self) -> tuple[str, timedelta | None]:
        """Connect and serve one connection; give why it ended and, where that is known, when to return."""
        try:
            token = await self._tokens.now()
            try:
                return await self._connect(token)
            except NotAllowedError as error:
                return await self._return_with_another(token, error)
        except (RefusedError, UnreachableError) as error:
            return f"no token can be had: {error}", None

    async def _return_with_another(self, token: str | None, refused: NotAllowedError) -> tuple[str, timedelta]:
        """Come back at once with another token; not when there is none, or one was made for this and is refused too."""
        if self._token_is_new:
            raise refused
        await self._tokens.instead_of(token, str(refused))
        self._token_is_new = True
        return str(refused), timedelta(0)

    async def _connect(self, token: str | None) -> tuple[str, timedelta | None]:
        try:
            async with asyncio.timeout(CONNECT_WITHIN_S):
                socket = await self._http.ws_connect(
                    self._url,
                    headers=bearer(token) if token else None,
                    heartbeat=HEARTBEAT_S,
                    max_msg_size=MAX_FRAME_BYTES,
                    compress=0,
                )
        except aiohttp.WSServerHandshakeError as error:
            if error.status in FORBIDDEN:
                raise NotAllowedError(f"the gateway does not let {self._peer_id!r} in ({error.status})") from error
            return f"the gateway answered {error.status}", None
        except TimeoutError:
            return "the gateway did not answer in time", None
        except (aiohttp.ClientError, OSError) as error:
            return words_of(error), None
        try:
            self._socket = socket
            self._connected.set()
            self._on_connected()
            return await self._serve(socket)
        finally:
            self._socket = None
            self._connected.clear()
            await socket.close()

    async def _serve(self, socket: aiohttp.ClientWebSocketResponse) -> tuple[str, timedelta | None]:
        clock = asyncio.get_running_loop().time
        return_at: float | None = None
        try:
            async with asyncio.timeout(None) as leaving:
                while (message := await socket.receive()).type not in ENDED:
                    frame = _frame(message.data)
                    if isinstance(frame, Reconnect):
                        return_at = clock() + frame.after_ms / 1000
                        leaving.reschedule(return_at)
                    elif frame is not None:
                        self._on_frame(frame)
        except TimeoutError:
            return "the gateway asked us to move", timedelta(0)
        self._raise_if_final(socket.close_code, message)
        wanted = None if return_at is None else timedelta(seconds=max(0.0, return_at - clock()))
        return f"the connection was closed ({socket.close_code})", wanted

    def _raise_if_final(self, close_code: int | None, message: aiohttp.WSMessage) -> None:
        if close_code == CloseCode.REPLACED:
            raise ReplacedError(self._peer_id)
        if close_code == CloseCode.NOT_ALLOWED:
            raise NotAllowedError(str(message.extra or "") or f"the gateway does not let {self._peer_id!r} in")


def _frame(text: str | bytes) -> Heard | None:
    """Read a frame; None for a type that a newer gateway added, or one that is malformed."""
    try:
        fields = json.loads(text)
        kind = _FRAMES.get(str(fields.get("type"))) if isinstance(fields, dict) else None
        # Read again rather than from `fields`: for fifty NPCs that takes a third of the time.
        return kind.model_validate_json(text) if kind else None
    except (ValidationError, ValueError, RecursionError):
        return None
