"""Redis, Valkey or Dragonfly: its version and its clock, asked in three lines of its own protocol."""

import asyncio
from datetime import UTC, datetime

from cli.doctor.clocks import clock
from cli.doctor.findings import Check, Finding, failed, ok

OLDEST = (7, 2)
ANSWER_WITHIN_S = 3.0


async def examine(host: str, port: int, password: str | None) -> list[Finding]:
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                there = ok(Check.PORTS, "Redis", f"lets us in at {host}:{port}")
                return [there, *await _examine(reader, writer, password)]
            finally:
                writer.close()
    except (OSError, TimeoutError, ValueError) as error:
        remedy = "start it; what it held comes back by itself"
        return [
            failed(
                Check.PORTS, "Redis", f"nothing of its kind answers at {host}:{port}: {error or 'no answer'}", remedy
            )
        ]


async def _examine(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, password: str | None) -> list[Finding]:
    if password is not None:
        writer.write(f"AUTH {password}\r\n".encode())
        await reader.readline()  # one that asks nobody says so; one that does not know us refuses the next
    asked = datetime.now(UTC)
    writer.write(b"TIME\r\nINFO server\r\n")
    seconds, microseconds = await _array(reader)
    heard = datetime.now(UTC)
    theirs = datetime.fromtimestamp(int(seconds) + int(microseconds) / 1e6, UTC)
    told = dict(line.split(":", 1) for line in (await _bulk(reader)).splitlines() if ":" in line)
    return [_version(told), clock("Redis", theirs, asked, heard)]


def _version(told: dict[str, str]) -> Finding:
    spoken = told.get("redis_version", "0.0")
    kinds = {"valkey_version": "Valkey", "dragonfly_version": "Dragonfly"}
    said = next((f"{kind} {told[name]}, as Redis {spoken}" for name, kind in kinds.items() if name in told), spoken)
    if tuple(int(part) for part in spoken.split(".")[:2]) < OLDEST:
        return failed(Check.VERSIONS, "Redis", said, f"it takes Redis {OLDEST[0]}.{OLDEST[1]}, or Valkey or Dragonfly")
    return ok(Check.VERSIONS, "Redis", said)


async def _array(reader: asyncio.StreamReader) -> list[str]:
    count = await _size(reader, b"*")
    return [await _bulk(reader) for _ in range(count)]


async def _bulk(reader: asyncio.StreamReader) -> str:
    size = await _size(reader, b"$")
    try:
        return (await reader.readexactly(size + 2))[:-2].decode()
    except asyncio.IncompleteReadError as error:
        raise ValueError("it hung up") from error


async def _size(reader: asyncio.StreamReader, kind: bytes) -> int:
    line = (await reader.readline()).strip()
    if not line.startswith(kind):
        raise ValueError(line.decode(errors="replace"))
    return int(line[1:])
