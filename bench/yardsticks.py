"""What this machine makes of the parts: bare ASGI answers, bare WebSocket echoes, PostgreSQL upserts.

    .venv/bin/p2p up --detach
    .venv/bin/python bench/yardsticks.py

Run beside every other measurement here: figures move from machine to machine, their ratios to these much less. Client
and server share the machine, as they do in all the other figures.
"""

import asyncio
import multiprocessing
import random
import socket
import time
from collections.abc import Awaitable, Callable

import aiohttp
import asyncpg
import uvicorn
import uvloop
from running import read_options, status

ANSWER = b'{"status":"healthy"}'


async def bare(scope, receive, send) -> None:
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": ANSWER})
    elif scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"]})


def serve(port: int) -> None:
    uvicorn.run(
        bare,
        host="127.0.0.1",
        port=port,
        log_level="warning",
        access_log=False,
        lifespan="off",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
    )


async def rate(work: Callable[[], Awaitable[object]], at_once: int, seconds: float = 4.0) -> float:
    """Rounds of `work` a second, `at_once` of them at any time."""
    end = time.perf_counter() + seconds
    done = 0

    async def worker() -> None:
        nonlocal done
        while time.perf_counter() < end:
            await work()
            done += 1

    await asyncio.gather(*(worker() for _ in range(at_once)))
    return done / seconds


async def http(url: str, at_once: int) -> float:
    async with aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(limit=0)) as session:

        async def get() -> None:
            async with session.get("/") as answer:
                await answer.read()

        return await rate(get, at_once)


async def echo(url: str, clients: int) -> float:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        sockets = [await session.ws_connect(url) for _ in range(clients)]
        idle = asyncio.Queue()
        for one in sockets:
            idle.put_nowait(one)

        async def there_and_back() -> None:
            one = idle.get_nowait()
            await one.send_str("x" * 300)
            await one.receive()
            idle.put_nowait(one)

        result = await rate(there_and_back, clients)
        for one in sockets:
            await one.close()
        return result


async def paced_echo(url: str, clients: int, seconds: float = 8.0) -> list[float]:
    """Milliseconds there and back, sorted, of `clients` that each send once a second."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        sockets = [await session.ws_connect(url) for _ in range(clients)]
        end = time.perf_counter() + seconds
        took: list[float] = []

        async def once_a_second(one: aiohttp.ClientWebSocketResponse) -> None:
            await asyncio.sleep(random.random())
            while time.perf_counter() < end:
                began = time.perf_counter()
                await one.send_str("x" * 300)
                await one.receive()
                took.append(1000 * (time.perf_counter() - began))
                await asyncio.sleep(1)

        await asyncio.gather(*map(once_a_second, sockets))
        for one in sockets:
            await one.close()
        return sorted(took)


async def upserts(url: str, at_once: int) -> float:
    pool = await asyncpg.create_pool(url, min_size=at_once, max_size=at_once)
    await pool.execute("CREATE TABLE IF NOT EXISTS yardstick (id int PRIMARY KEY, at timestamptz, n int)")
    number = 0

    async def upsert() -> None:
        nonlocal number
        number += 1
        await pool.execute(
            "INSERT INTO yardstick VALUES ($1, now(), 1) "
            "ON CONFLICT (id) DO UPDATE SET at = now(), n = yardstick.n + 1",
            number % 1000,
        )

    result = await rate(upsert, at_once)
    await pool.execute("DROP TABLE yardstick")
    await pool.close()
    return result


async def measure(port: int, postgres: str) -> None:
    print("| yardstick | rate/s |\n|---|---|", flush=True)
    for at_once in (1, 32):
        print(
            f"| bare ASGI answer, {at_once} in flight | {await http(f'http://127.0.0.1:{port}', at_once):,.0f} |",
            flush=True,
        )
    for clients in (50, 500):
        print(
            f"| bare WebSocket echo, {clients} clients | {await echo(f'ws://127.0.0.1:{port}', clients):,.0f} |",
            flush=True,
        )
    took = await paced_echo(f"ws://127.0.0.1:{port}", 200)
    p50, p99 = took[len(took) // 2], took[int(len(took) * 0.99)]
    print(f"| bare WebSocket echo, 200 clients at 1/s: p50 / p99 ms | {p50:.2f} / {p99:.2f} |", flush=True)
    print(f"| PostgreSQL upsert, 16 in flight | {await upserts(postgres, 16):,.0f} |", flush=True)


def main() -> None:
    postgres = status(read_options(__doc__).data_dir)["postgres"]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = multiprocessing.Process(target=serve, args=(port,), daemon=True)
    server.start()
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except ConnectionRefusedError:
            time.sleep(0.05)
    uvloop.run(measure(port, postgres))
    server.terminate()


if __name__ == "__main__":
    main()
