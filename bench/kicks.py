"""How soon a kick and a revoked key act at a gateway other than the one that was told.

    .venv/bin/p2p up --mode enforced --replicas signaling_gateway=2 --detach
    .venv/bin/python bench/kicks.py

One after the other, players with a socket on the last gateway are kicked at the first: the time runs from the request
to the end of the socket. Then keys are revoked at the first, each with a token that it asked for and that holds a
socket on the last.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import websockets
from running import new_key, read_options, status

CONNECT_EVERY_S = 0.15
"""An address may connect ten times a second."""


class Api:
    """The gateway that is told."""

    def __init__(self, http: aiohttp.ClientSession, operator: str) -> None:
        self._http = http
        self._operator = operator

    async def post(self, path: str, body: Any, key: str | None = None) -> Any:
        async with self._http.post(
            f"/api/v1/{path}", json=body, headers={"X-API-Key": key or self._operator}
        ) as response:
            response.raise_for_status()
            return await response.json()

    async def delete(self, path: str) -> None:
        async with self._http.delete(f"/api/v1/{path}", headers={"X-API-Key": self._operator}) as response:
            response.raise_for_status()


async def until_closed(gateway: str, token: str, blow: Callable[[], Awaitable[object]]) -> float:
    """Give the milliseconds from the blow to the end of the socket."""
    url = f"{gateway.replace('http', 'ws', 1)}/api/v1/signaling/ws?token={token}"
    await asyncio.sleep(CONNECT_EVERY_S)
    async with websockets.connect(url, compression=None) as socket:
        await (await socket.ping())
        began_at = time.perf_counter()
        struck = asyncio.create_task(blow())
        await socket.wait_closed()
        took = time.perf_counter() - began_at
        await struck
        return took * 1000


async def kicked(api: Api, gateway: str, number: int) -> float:
    player = f"kicked-{number}"
    token = (await api.post("auth/token", {"player_id": player}))["token"]
    return await until_closed(gateway, token, lambda: api.post(f"peers/{player}/kick", {"for_s": 1}))


async def revoked(api: Api, gateway: str, number: int) -> float:
    key = await api.post("auth/keys", {"role": "server"})
    token = (await api.post("auth/token", {"player_id": f"revoked-{number}"}, key["key"]))["token"]
    return await until_closed(gateway, token, lambda: api.delete(f"auth/keys/{key['key_id']}"))


def tell(name: str, took_ms: list[float]) -> None:
    took_ms.sort()
    print(f"{name}: median {took_ms[len(took_ms) // 2]:.1f} ms, slowest of {len(took_ms)} {took_ms[-1]:.1f} ms")


async def main(gateways: list[str], key: str, count: int) -> None:
    async with aiohttp.ClientSession(gateways[0]) as http:
        api = Api(http, key)
        tell("kick", [await kicked(api, gateways[-1], number) for number in range(count)])
        tell("revoked key", [await revoked(api, gateways[-1], number) for number in range(count)])


OPTIONS = read_options(__doc__, count=200)
asyncio.run(main(status(OPTIONS.data_dir)["gateways"], new_key("operator", OPTIONS.data_dir), OPTIONS.count))
