"""A client that asks again is one that this suite's gateways may tell to."""

import asyncio

from testkit.clients import persistent_client


async def test_it_asks_again_under_the_same_key_until_it_is_answered():
    heard: list[bytes] = []
    refusal = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n"
    answers = iter([refusal, refusal, b"HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n"])

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length")
            )
            heard.append(head + await reader.readexactly(length))
            writer.write(answer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with persistent_client(f"http://127.0.0.1:{port}") as client:
            assert (await client.post("/hosts", json={"host_id": "h"})).status_code == 201
    assert len(heard) == 3
    assert len(set(heard)) == 1
    assert b"idempotency-key: " in heard[0]
