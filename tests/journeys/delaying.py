"""A long way between a host and its prober: a middlebox in front of a gateway, and datagrams that take their time."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from functools import partial
from typing import Any, cast

import aiohttp
from aiohttp import WSMsgType, web

Json = dict[str, Any]

CANDIDATE = re.compile(r"^(a=candidate:\S+ \d+ \w+ \d+ )(\S+) (\d+)( typ host.*)$", re.MULTILINE)
SIGNALING = "/api/v1/signaling/ws"
PASSED_ON = ("Content-Type", "Authorization", "X-API-Key")


class _Side(asyncio.DatagramProtocol):
    """One end of the way: what it hears leaves at the other end, later."""

    def __init__(self, delay_s: float) -> None:
        self.delay_s = delay_s
        self.other: _Side | None = None
        self.towards: tuple[str, int] | None = None
        """Where what comes from the other end goes; learnt from who speaks, if it is not known."""
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.towards = self.towards or addr
        assert self.other is not None
        asyncio.get_running_loop().call_later(self.delay_s, self.other.leave, data)

    def leave(self, data: bytes) -> None:
        if self.towards is not None and self.transport is not None and not self.transport.is_closing():
            self.transport.sendto(data, self.towards)


class Middlebox:
    """Passes REST and signaling on; of probes it has the host's datagrams go a long way round."""

    def __init__(self, gateway: str, delay: timedelta) -> None:
        self._gateway = gateway
        self._delay_s = delay.total_seconds()
        self._ways: list[_Side] = []
        self.url = ""

    def app(self, http: aiohttp.ClientSession) -> web.Application:
        self._http = http
        app = web.Application()
        app.router.add_get(SIGNALING, self._socket)
        app.router.add_route("*", "/{path:.*}", self._rest)
        return app

    def close(self) -> None:
        for side in self._ways:
            if side.transport is not None:
                side.transport.close()

    async def _rest(self, request: web.Request) -> web.Response:
        url, body = self._gateway + request.path_qs, await request.read()
        headers = _passed_on(request)
        async with self._http.request(request.method, url, data=body, headers=headers) as answer:
            return web.Response(status=answer.status, body=await answer.read(), content_type=answer.content_type)

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        host = web.WebSocketResponse()
        await host.prepare(request)
        async with (
            self._http.ws_connect(self._gateway + request.path_qs, headers=_passed_on(request)) as gateway,
            asyncio.TaskGroup() as group,
        ):
            hearing = group.create_task(self._to_host(gateway, host))
            async for message in host:
                if message.type is WSMsgType.TEXT:
                    await gateway.send_str(await self._from_host(message.data))
            hearing.cancel()
        return host

    async def _to_host(self, gateway: aiohttp.ClientWebSocketResponse, host: web.WebSocketResponse) -> None:
        with suppress(ConnectionError):
            async for message in gateway:
                if message.type is WSMsgType.TEXT:
                    await host.send_str(_without_short_cut(message.data))

    async def _from_host(self, text: str) -> str:
        frame: Json = json.loads(text)
        if frame["type"] != "probe-answer":
            return text
        sdp = frame["sdp"]["sdp"]
        for prefix, address, port, rest in CANDIDATE.findall(sdp):
            door = await self._way_to(address, int(port))
            sdp = sdp.replace(f"{prefix}{address} {port}{rest}", f"{prefix}127.0.0.1 {door}{rest}")
        frame["sdp"]["sdp"] = sdp
        return json.dumps(frame)

    async def _way_to(self, address: str, port: int) -> int:
        loop = asyncio.get_running_loop()
        near, far = _Side(self._delay_s), _Side(self._delay_s)
        near.other, far.other, far.towards = far, near, (address, port)
        for side in (near, far):
            await loop.create_datagram_endpoint(partial(_itself, side), local_addr=("127.0.0.1", 0))
        self._ways += [near, far]
        assert near.transport is not None
        door: int = near.transport.get_extra_info("sockname")[1]
        return door


def _passed_on(request: web.Request) -> dict[str, str]:
    """What is sent, and by whom."""
    return {name: request.headers[name] for name in PASSED_ON if name in request.headers}


def _itself(side: _Side) -> _Side:
    return side


def _without_short_cut(text: str) -> str:
    """Leave our prober's own addresses out of its offer: the host can only answer to whom it hears."""
    frame: Json = json.loads(text)
    if frame["type"] != "probe-offer":
        return text
    frame["sdp"]["sdp"] = "".join(
        line for line in frame["sdp"]["sdp"].splitlines(keepends=True) if "a=candidate" not in line
    )
    return json.dumps(frame)


@asynccontextmanager
async def long_way(gateway: str, each_way: timedelta) -> AsyncIterator[str]:
    """Give the URL under which a host far away reaches the gateway."""
    box = Middlebox(gateway, each_way)
    async with aiohttp.ClientSession() as http:
        runner = web.AppRunner(box.app(http), shutdown_timeout=1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()
            box.close()
