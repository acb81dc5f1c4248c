"""What the beginning of a connection costs: the switch between TLS and clear text, handshakes, and silence.

    .venv/bin/python bench/openings.py

The server is bare ASGI behind chassis' `serve_http`, and behind plain uvicorn for comparison. The two take turns, and
what counts is the server's processor time: load beside it moves that least.
"""

import asyncio
import logging
import multiprocessing
import resource
import socket
import ssl
import statistics
import tempfile
import time
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import structlog
import uvicorn
import uvloop
from chassis.certificate import Certificate
from chassis.http import serve_http
from embedded.certificates import keep_certificates
from embedded.ports import free_port

ROUNDS = 15
REQUEST = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
CLOSING = b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"


async def bare(_scope, _receive, send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"{}"})


@asynccontextmanager
async def plain(port: int):
    """uvicorn as it is."""
    config = uvicorn.Config(
        bare,
        host="127.0.0.1",
        port=port,
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=2048,
    )
    server = uvicorn.Server(config)
    async with asyncio.TaskGroup() as group:
        group.create_task(server.serve())
        yield
        server.should_exit = True


def quiet() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))


def run(port: int, kind: str, files: tuple[str, str]) -> None:
    async def serve() -> None:
        serving = plain(port) if kind == "plain" else serve_http(bare, "127.0.0.1", port, tls=Certificate(*files))
        async with serving:
            await asyncio.Event().wait()

    quiet()
    uvloop.run(serve())


def started(kind: str, files: tuple[str, str]) -> tuple[psutil.Process, int]:
    port = free_port()
    process = multiprocessing.get_context("spawn").Process(target=run, args=(port, kind, files), daemon=True)
    process.start()
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return psutil.Process(process.pid), port
        except ConnectionRefusedError:
            time.sleep(0.05)


def cpu(server: psutil.Process) -> float:
    times = server.cpu_times()
    return times.user + times.system


def connections(port: int, number: int) -> None:
    """A connection for each request."""
    for _ in range(number):
        with socket.create_connection(("127.0.0.1", port)) as one:
            one.sendall(CLOSING)
            while one.recv(4096):
                pass


def requests(port: int, number: int) -> None:
    """All on one connection."""
    with socket.create_connection(("127.0.0.1", port)) as one:
        for _ in range(number):
            one.sendall(REQUEST)
            one.recv(4096)


def handshakes(port: int, number: int, version: ssl.TLSVersion) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # the server's share is what counts
    context.minimum_version = context.maximum_version = version
    for _ in range(number):
        with socket.create_connection(("127.0.0.1", port)) as one, context.wrap_socket(one) as secured:
            secured.sendall(CLOSING)
            secured.recv(4096)


def microseconds(server: psutil.Process, work, *args) -> float:
    before = cpu(server)
    work(*args)
    return 1e6 * (cpu(server) - before) / args[1]


def compare(name: str, work, number: int, servers: dict[str, tuple[psutil.Process, int]]) -> None:
    took: dict[str, list[float]] = {kind: [] for kind in servers}
    for turn in range(ROUNDS):
        for kind in list(servers) if turn % 2 else list(servers)[::-1]:
            server, port = servers[kind]
            took[kind].append(microseconds(server, work, port, number))
    middle = {kind: statistics.median(values) for kind, values in took.items()}
    more = [ours - plain for ours, plain in zip(took["ours"], took["plain"], strict=True)]
    error = statistics.stdev(more) / len(more) ** 0.5
    print(
        f"| {name} | {middle['plain']:.0f} | {middle['ours']:.0f} | {statistics.mean(more):+.1f} ± {error:.1f} |",
        flush=True,
    )


def silence(server: psutil.Process, port: int, number: int, said: bytes) -> None:
    """What `number` connections that do not begin cost, and whether others are served beside them."""
    memory, used = server.memory_info().rss, cpu(server)
    silent = []
    for _ in range(number):
        one = socket.create_connection(("127.0.0.1", port))
        one.sendall(said)
        silent.append(one)
    began = time.perf_counter()
    connections(port, 20)
    served = (time.perf_counter() - began) / 20
    grown = server.memory_info().rss - memory
    while server.num_fds() > 100:
        time.sleep(0.1)
    lasted = time.perf_counter() - began
    each, spent = grown / number / 1024, 1e6 * (cpu(server) - used) / number
    print(
        f"| {number:,} that say {said[:8]!r} | {each:.1f} KB, {spent:.0f} µs each | another is served in "
        f"{1000 * served:.1f} ms | all gone {lasted:.0f} s later |",
        flush=True,
    )
    for one in silent:
        one.close()


def main() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory() as directory:
        kept = keep_certificates(Path(directory))
        files = str(kept.certificate), str(kept.key)
        servers = {kind: started(kind, files) for kind in ("plain", "ours")}
        print("| processor time of the server, µs | plain uvicorn | serve_http | more, ± standard error |")
        print("|---|---|---|---|", flush=True)
        compare("a connection and its request", connections, 10_000, servers)
        compare("a request on an open connection", requests, 20_000, servers)
        server, port = servers["ours"]
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            spent = statistics.median(microseconds(server, handshakes, port, 500, version) for _ in range(ROUNDS))
            print(
                f"| {version.name}: connection, handshake, request | | {spent:.0f} | {1e6 / spent:,.0f}/s a core |",
                flush=True,
            )
        for said in (b"", b"\x16\x03\x01\x02\x00", b"GET / HTTP/1.1\r\n"):
            silence(server, port, 9_000 if hard < 25_000 else 10_000, said)


if __name__ == "__main__":
    main()
