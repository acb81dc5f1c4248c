"""STUN and TURN servers: a binding asked for and, where they relay, an address that they relay for."""

import asyncio
import os
import struct
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from aioice import stun, turn

from cli.doctor.findings import Check, Finding, failed, ok

ANSWER_WITHIN_S = 3.0
AGAIN_AFTER_S = 0.5
"""A datagram may be lost."""

BINDING_REQUEST, BINDING_ANSWER = 0x0001, 0x0101
COOKIE = 0x2112A442
HEADER = struct.Struct("!HHI12s")

PORTS = {"stun": 3478, "turn": 3478, "stuns": 5349, "turns": 5349}


class Address(NamedTuple):
    """What a URL of RFC 7064 and 7065 names."""

    scheme: str
    host: str
    port: int
    transport: str

    @property
    def is_relay(self) -> bool:
        return self.scheme in {"turn", "turns"}


def address_of(url: str) -> Address:
    """Read `turn:host:port?transport=udp`; ValueError when it is no such thing."""
    scheme, _, rest = url.partition(":")
    place, _, query = rest.partition("?")
    host, colon, port = place.rpartition(":") if not place.endswith("]") else (place, "", "")
    if not colon:
        host, port = place, str(PORTS[scheme])
    transport = query.partition("transport=")[2] or ("tcp" if scheme.endswith("s") else "udp")
    return Address(scheme, host.strip("[]"), int(port), transport)


async def reachable(servers: Iterable[Mapping[str, Any]]) -> list[Finding]:
    """Each URL of them, side by side."""
    asked = [
        _reachable(url, server.get("username"), server.get("credential"))
        for server in servers
        for url in _urls(server["urls"])
    ]
    return list(await asyncio.gather(*asked))


async def _reachable(url: str, username: str | None, credential: str | None) -> Finding:
    try:
        address = address_of(url)
    except (ValueError, KeyError):
        return failed(Check.TURN, url, "is no URL of a STUN or TURN server", "write stun:HOST:PORT or turn:HOST:PORT")
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            if address.is_relay:
                return ok(Check.TURN, url, f"relays for us at {await _allocated(address, username, credential)}")
            await _bound(address)
            return ok(Check.TURN, url, "answers")
    except TimeoutError:
        remedy = f"let {address.transport.upper()} through to port {address.port}, and see that the server runs"
        return failed(Check.TURN, url, f"no answer within {ANSWER_WITHIN_S:g} s", remedy)
    except stun.TransactionFailed as error:
        code, reason = error.response.attributes.get("ERROR-CODE", (0, "refused"))
        remedy = "TURN_SECRET of the gateway and static-auth-secret of the TURN server must be the same"
        return failed(Check.TURN, url, f"it does not relay for us: {code} {reason}", remedy)
    except (OSError, stun.TransactionTimeout) as error:
        return failed(
            Check.TURN, url, f"cannot be reached: {error}", "see that the server runs, and its name is known here"
        )


async def _allocated(address: Address, username: str | None, credential: str | None) -> str:
    transport, _ = await turn.create_turn_endpoint(
        asyncio.DatagramProtocol,
        server_addr=(address.host, address.port),
        username=username,
        password=credential,
        ssl=address.scheme == "turns",
        transport=address.transport,
    )
    try:
        host, port = transport.get_extra_info("sockname")
        return f"{host}:{port}"
    finally:
        transport.close()


async def _bound(address: Address) -> None:
    if address.transport != "udp":
        _, writer = await asyncio.open_connection(address.host, address.port, ssl=address.scheme == "stuns" or None)
        writer.close()
        return
    transport, answers = await asyncio.get_running_loop().create_datagram_endpoint(
        _Answers, remote_addr=(address.host, address.port)
    )
    try:
        while not answers.heard.done():
            transport.sendto(HEADER.pack(BINDING_REQUEST, 0, COOKIE, answers.asked))
            await asyncio.wait([answers.heard], timeout=AGAIN_AFTER_S)
        answers.heard.result()
    finally:
        transport.close()


class _Answers(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.asked = os.urandom(12)
        self.heard = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, _addr: tuple[str | Any, int]) -> None:
        if len(data) < HEADER.size or self.heard.done():
            return
        kind, _, cookie, asked = HEADER.unpack_from(data)
        if (kind, cookie, asked) == (BINDING_ANSWER, COOKIE, self.asked):
            self.heard.set_result(None)

    def error_received(self, exc: Exception) -> None:
        if not self.heard.done():
            self.heard.set_exception(exc)


def _urls(urls: str | list[str]) -> list[str]:
    return [urls] if isinstance(urls, str) else urls
