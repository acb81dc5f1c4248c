"""How a connection begins: TLS and clear text on one port, told apart by the first byte, and nobody may dawdle.

uvicorn has one of these made for each connection that it accepts, and waits for none of them: silence, a byte a second,
a handshake left half done, a head without an end are each ended by a timer of their own.

An offer to go over to another protocol (`Upgrade`) that is not taken changes nothing. httptools stops at any: it takes
what follows the head for that other protocol's, and reads it as a request of its own when asked to go on.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, cast

import httptools
import structlog
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from chassis.certificate import Certificate
from chassis.proxied import PROXIED, SIGNATURE, Network, NotProxiedError, is_within, read_head

log = structlog.stdlib.get_logger()

HANDSHAKE = 0x16
"""How every TLS connection begins (RFC 8446, section 5.1, and all before it); no request in clear text does."""

FIRST_BYTE_WITHIN_S = 5.0
"""Who connects has something to say, a round trip later; browsers that connect ahead come again."""

HANDSHAKE_WITHIN_S = 5.0
"""Two round trips and a signature."""

GOODBYE_WITHIN_S = 5.0
"""How long the other side may take to answer the end, of TLS or of one that was refused; nobody need wait for it."""

HEAD_WITHIN_S = 10.0
"""From the first byte of a request to the last of its head: one packet, on a line that loses some."""

MAX_HEAD_BYTES = 64 * 1024
"""Four times what proxies let through; httptools itself would take a head without an end."""

COMPLAIN_EVERY_S = 60.0

_CONNECT = b"CONNECT"
_UNREADABLE = "Invalid HTTP request received."
_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


TakesSocket = Callable[[str], bool]
"""Whether a path, as it came, is one where WebSockets are opened."""


class PromptHttp(HttpToolsProtocol):
    """uvicorn's HTTP, which wants each request's head soon and of a size, and reads no body as anything else."""

    _head_timer: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _goodbye_timer: asyncio.TimerHandle | None = None

    def __init__(
        self, config: Config, server: ServerState, app_state: dict[str, Any], takes_socket: TakesSocket
    ) -> None:
        super().__init__(config, server, app_state)
        self._takes_socket = takes_socket

    def expect_head(self) -> None:
        """Start the clock; it stops when a head is whole."""
        self._head_timer = self.loop.call_later(HEAD_WITHIN_S, self._refuse, _TOO_SLOW)

    def data_received(self, data: bytes) -> None:
        if self._goodbye_timer is not None:
            return
        self._unset_keepalive_if_required()
        try:
            self._parse(data)
        except httptools.HttpParserError:
            self.send_400_response(_UNREADABLE)
            return
        if self.cycle is not None and not self.cycle.response_complete:  # a request is being answered
            if self._head_timer is not None:
                self._head_is_whole()
        elif self in self.connections:  # else it was upgraded
            if self._head_timer is None:
                self.expect_head()
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(_TOO_LARGE)
        else:
            self._head_is_whole()

    def on_headers_complete(self) -> None:
        if not self.parser.should_upgrade():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_is_whole()
        if self._goodbye_timer is not None:
            self._goodbye_timer.cancel()
        super().connection_lost(exc)

    def _parse(self, data: bytes) -> None:
        while data:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                method = self.parser.get_method()
                if self._takes_offer(method):
                    self.scope["method"] = method.decode("ascii")
                    self.handle_websocket_upgrade()
                    return
                if method == _CONNECT:  # no head of it is without the offer, and we are no proxy
                    self.send_400_response(_UNREADABLE)
                    return
                head = self._head_without_offer(method)
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn has it
                data = head + data[offer.args[0] :]
            else:
                return

    def _takes_offer(self, method: bytes) -> bool:
        """Whether a request becomes a WebSocket: a GET without a body, where there are any, and nothing before it."""
        if method != b"GET" or not self._should_upgrade():
            return False
        if self.cycle is not None and not self.cycle.response_complete:
            return False
        if any(
            name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
            for name, value in self.headers
        ):
            return False
        try:
            return self._takes_socket(httptools.parse_url(self.url).path.decode("ascii"))
        except httptools.HttpParserError:
            return False

    def _head_without_offer(self, method: bytes) -> bytes:
        version = self.parser.get_http_version().encode("ascii")
        kept = [name + b": " + value for name, value in self.headers if name != b"upgrade"]
        return b"\r\n".join([method + b" " + self.url + b" HTTP/" + version, *kept, b"", b""])

    def _head_is_whole(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        self._head_bytes = 0

    def _refuse(self, answer: bytes) -> None:
        if self.transport.is_closing() or self._goodbye_timer is not None:
            return
        self.transport.write(answer)
        if not self.transport.can_write_eof():  # TLS, which ends in words of its own
            self.transport.close()
            return
        # Closed at once, what is still on its way here would be answered with a reset, which overtakes the answer.
        # So: end our half, and read the rest into nothing.
        self.transport.write_eof()
        self._goodbye_timer = self.loop.call_later(GOODBYE_WITHIN_S, self.transport.abort)


class Openings:
    """Stands where uvicorn expects the class of its HTTP protocol: makes the first protocol of each connection."""

    def __init__(
        self,
        certificate: Certificate | None,
        proxies: Sequence[Network] = (),
        takes_socket: TakesSocket = lambda _path: True,
    ) -> None:
        self.takes_socket = takes_socket
        self._certificate = certificate
        self._proxies = proxies
        self._turned_away = 0
        self._complained_at = -COMPLAIN_EVERY_S

    def __call__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> "Opening":
        return Opening(self, config, server_state, app_state)

    @property
    def certificate(self) -> Certificate | None:
        return self._certificate

    def may_be_proxied(self, transport: asyncio.Transport) -> bool:
        """Whether the other end is one of the proxies that may say for whom they speak."""
        peer = transport.get_extra_info("peername") if self._proxies else None
        return peer is not None and is_within(peer[0], self._proxies)

    def turned_away(self) -> None:
        """A client wants TLS and we have none; said once in a while, as such clients try again for ever."""
        self._turned_away += 1
        now = time.monotonic()
        if now - self._complained_at >= COMPLAIN_EVERY_S:
            log.warning("http.tls_without_certificate", turned_away=self._turned_away)
            self._complained_at, self._turned_away = now, 0


class Opening(asyncio.Protocol):
    """Waits for a connection's first byte and hands it over, in clear text or through TLS, to HTTP."""

    __slots__ = (
        "_app_state",
        "_config",
        "_heard",
        "_may_be_proxied",
        "_openings",
        "_server",
        "_timer",
        "_transport",
    )

    _transport: asyncio.Transport
    _timer: asyncio.TimerHandle

    def __init__(self, openings: Openings, config: Config, server: ServerState, app_state: dict[str, Any]) -> None:
        self._openings = openings
        self._config = config
        self._server = server
        self._app_state = app_state
        self._heard = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._may_be_proxied = self._openings.may_be_proxied(self._transport)
        self._timer = asyncio.get_running_loop().call_later(FIRST_BYTE_WITHIN_S, self.shutdown)
        self._connections.add(self)

    def data_received(self, data: bytes) -> None:
        if self._may_be_proxied and not (data := self._after_proxys_head(data)):
            return
        self._timer.cancel()
        if data[0] == HANDSHAKE:
            self._begin_tls(data)
            return
        self._connections.discard(self)
        http = self._http()
        self._transport.set_protocol(http)
        http.connection_made(self._transport)
        http.data_received(data)

    def _after_proxys_head(self, data: bytes) -> bytes:
        """Take off what a proxy says first, if it does; empty until something else has come."""
        data = self._heard + data
        if data[0] != SIGNATURE[0]:
            self._may_be_proxied = False
            return data
        try:
            head = read_head(data)
        except NotProxiedError:
            self.shutdown()
            return b""
        if head is None:
            self._heard = data
            return b""
        self._may_be_proxied, self._heard = False, b""
        if head.client is not None:
            self._app_state = {**self._app_state, PROXIED: head.client}
        return data[head.length :]

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- asyncio's signature
        self._timer.cancel()
        self._connections.discard(self)

    def shutdown(self) -> None:
        """End it; uvicorn calls this too, when it stops."""
        self._transport.abort()

    @property
    def _connections(self) -> set[Any]:
        """Those that uvicorn ends when it stops, and waits for."""
        return self._server.connections

    def _http(self) -> PromptHttp:
        return PromptHttp(self._config, self._server, self._app_state, self._openings.takes_socket)

    def _begin_tls(self, hello: bytes) -> None:
        if self._openings.certificate is None:
            self._openings.turned_away()
            self._transport.close()
            return
        self._transport.pause_reading()  # what comes next is for TLS
        loop = asyncio.get_running_loop()
        task = loop.create_task(self._through_tls(self._openings.certificate), name="tls")
        self._server.tasks.add(task)
        task.add_done_callback(self._server.tasks.discard)
        # start_tls takes a transport of which nothing has been read. In its first step, the next round, it puts itself
        # in our place and makes itself ready for the round after, in which we hand on what we have read.
        loop.call_soon(loop.call_soon, self._hand_on, hello)

    async def _through_tls(self, certificate: Certificate) -> None:
        early = _Early()
        try:
            if self._transport.is_closing():
                return
            secured = await asyncio.get_running_loop().start_tls(
                self._transport,
                early,
                certificate.context,
                server_side=True,
                ssl_handshake_timeout=HANDSHAKE_WITHIN_S,
                ssl_shutdown_timeout=GOODBYE_WITHIN_S,
            )
        except OSError as error:  # ssl's own among them, and the handshake's timeout
            log.debug("http.tls_failed", error=str(error))
            return
        finally:
            self._connections.discard(self)
        if secured is None or secured.is_closing():
            return
        http = self._http()
        secured.set_protocol(http)
        http.connection_made(secured)
        http.expect_head()
        if early.heard:
            http.data_received(early.heard)

    def _hand_on(self, data: bytes) -> None:
        if self._transport.is_closing():
            return
        tls = cast("asyncio.BufferedProtocol", self._transport.get_protocol())
        while data:
            buffer = memoryview(tls.get_buffer(len(data)))
            taken = min(len(buffer), len(data))
            buffer[:taken] = data[:taken]
            tls.buffer_updated(taken)
            data = data[taken:]


class _Early(asyncio.Protocol):
    """Keeps what rides right behind a handshake: asyncio's own loop hands it on before `start_tls` is back."""

    def __init__(self) -> None:
        self.heard = b""

    def data_received(self, data: bytes) -> None:
        self.heard += data
