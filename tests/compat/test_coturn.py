"""coturn relays for whoever has the credentials that a gateway gives, and for nobody once they have ended."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from aioice.stun import TransactionFailed
from aioice.turn import create_turn_endpoint
from embedded.ports import free_port
from signaling_gateway.app import service
from signaling_gateway.settings import Settings
from testkit.clients import http_client
from testkit.eventually import eventually
from testkit.patience import within
from testkit.servers import TestServers

from services.signaling_gateway.tests.signaling.client import dial, leaving

SECRET = "k3Zq9vXw2LmPpR7tYb4NcD8sFh1JgA6uE0iOQ5Wx"
NEXT_SECRET = "Hn5wQ2rT8yU1iO4pA7sD0fG3hJ6kL9zXcVbN1mQe"

CONFIGURATION = """
listening-ip=127.0.0.1
listening-port={port}
relay-ip=127.0.0.1
use-auth-secret
{secrets}
realm=p2p
userdb={directory}/turndb
pidfile={directory}/turnserver.pid
log-file=stdout
simple-log
no-cli
no-tls
no-dtls
allow-loopback-peers
"""

UNAUTHORIZED = 401

CLOCKS_LAG_S = 2
"""coturn's clock counts whole seconds, and is looked at once in each."""


@asynccontextmanager
async def coturn(port: int, directory: Path, *secrets: str) -> AsyncIterator[None]:
    """Run Debian's, with these secrets, until the block ends."""
    file = directory / "turnserver.conf"
    lines = "\n".join(f"static-auth-secret={secret}" for secret in secrets)
    file.write_text(CONFIGURATION.format(port=port, secrets=lines, directory=directory))
    process = await asyncio.create_subprocess_exec(
        "turnserver", "-c", str(file), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await eventually(lambda: _listens(port), within=20, of="coturn's port")
        yield
    finally:
        process.kill()
        await process.wait()


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


@asynccontextmanager
async def gateway(servers: TestServers, port: int, secret: str, life_s: int = 3600) -> AsyncIterator[httpx.AsyncClient]:
    """A gateway that sends its peers to that TURN server."""
    database = servers.new_database()
    settings = Settings(
        nats_url=servers.nats.url,
        redis_url=servers.redis.url,
        postgres_url=database,
        http_port=free_port(),
        turn_servers=(f"here=turn:127.0.0.1:{port}?transport=udp",),
        turn_secret=secret,
        turn_credentials_s=life_s,
    )
    async with service(settings), http_client(base_url=f"http://127.0.0.1:{settings.http_port}") as client:
        yield client
    servers.drop_database(database)


async def credentials(client: httpx.AsyncClient, peer_id: str = "ann") -> dict[str, Any]:
    """The TURN server that a peer is told of."""
    response = await client.get("/api/v1/signaling/ice-servers", params={"peer_id": peer_id})
    assert response.status_code == 200, response.text
    (server,) = response.json()["ice_servers"]
    found: dict[str, Any] = server
    return found


class Received(asyncio.DatagramProtocol):
    """Keeps what comes, and where from."""

    def __init__(self) -> None:
        self.datagrams: asyncio.Queue[tuple[bytes, tuple[str, int]]] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.datagrams.put_nowait((data, addr))


@asynccontextmanager
async def allocated(port: int, server: dict[str, Any]) -> AsyncIterator[tuple[Any, Received]]:
    """A relayed address; TransactionFailed if the server gives none."""
    transport, protocol = await create_turn_endpoint(
        Received, ("127.0.0.1", port), username=server["username"], password=server["credential"]
    )
    try:
        yield transport, protocol
    finally:
        transport.close()


async def relays(port: int, server: dict[str, Any]) -> bool:
    """Whether a datagram goes through the server to another socket and one comes back."""
    try:
        async with allocated(port, server) as (transport, relayed):
            loop = asyncio.get_running_loop()
            other, peer = await loop.create_datagram_endpoint(Received, local_addr=("127.0.0.1", 0))
            transport.sendto(b"there", other.get_extra_info("sockname"))
            async with within(10):
                data, came_from = await peer.datagrams.get()
                assert (data, came_from) == (b"there", transport.get_extra_info("sockname"))
                other.sendto(b"and back", came_from)
                data, _ = await relayed.datagrams.get()
            other.close()
            return data == b"and back"
    except TransactionFailed as error:
        if error.response.attributes["ERROR-CODE"][0] != UNAUTHORIZED:
            raise
        return False


@pytest.fixture
def servers_there(servers: TestServers, nats_server, redis_server) -> TestServers:
    return servers


@pytest.mark.parametrize("peer_id", ["ann", "1@tower: the 2nd, ünïcödé", "x" * 128])
async def test_it_relays_for_whoever_a_gateway_gave_credentials(peer_id: str, servers_there, tmp_path):
    port = free_port()
    async with coturn(port, tmp_path, SECRET), gateway(servers_there, port, SECRET) as client:
        assert await relays(port, await credentials(client, peer_id))


async def test_credentials_that_were_made_up_or_changed_are_refused(servers_there, tmp_path):
    port = free_port()
    async with coturn(port, tmp_path, SECRET), gateway(servers_there, port, SECRET) as client:
        server = await credentials(client)
        until, _, name = server["username"].partition(":")
        assert not await relays(port, server | {"credential": "x" * 28})
        assert not await relays(port, server | {"username": f"{int(until) + 3600}:{name}"})
        assert not await relays(port, server | {"username": f"{until}:bob"})
        assert await relays(port, server)


async def test_credentials_are_of_one_peer_in_one_session(servers_there, tmp_path):
    port = free_port()
    async with coturn(port, tmp_path, SECRET), gateway(servers_there, port, SECRET) as client:
        ann = await dial(str(client.base_url).rstrip("/"), "ann", "tavern: the 2nd")
        async with leaving(ann):
            (server,) = (await ann.hear("session-joined"))["ice_servers"]
            asked = {"peer_id": "ann", "session_id": "tavern: the 2nd"}
            (again,) = (await client.get("/api/v1/signaling/ice-servers", params=asked)).json()["ice_servers"]
        until, _, names = server["username"].partition(":")
        assert names == again["username"].partition(":")[2] == "ann.tavern%3A%20the%202nd"
        for changed in ("ann", "ann.cellar", "bob.tavern%3A%20the%202nd", f"{names}.cellar"):
            assert not await relays(port, server | {"username": f"{until}:{changed}"})
        assert await relays(port, server)
        assert await relays(port, again)


async def test_credentials_end(servers_there, tmp_path):
    port = free_port()
    async with coturn(port, tmp_path, SECRET), gateway(servers_there, port, SECRET, life_s=2) as client:
        server = await credentials(client)
        until = int(server["username"].partition(":")[0])
        assert await relays(port, server) or time.time() >= until
        await eventually(lambda: time.time() > until + CLOCKS_LAG_S, within=20)
        assert not await relays(port, server)
        assert await relays(port, await credentials(client))


async def test_a_new_secret_ends_what_the_old_one_made_unless_coturn_has_both(servers_there, tmp_path):
    port = free_port()
    async with gateway(servers_there, port, SECRET) as before, gateway(servers_there, port, NEXT_SECRET) as after:
        old, new = await credentials(before), await credentials(after)
        for secrets, accepted in (
            ([SECRET], (True, False)),
            ([SECRET, NEXT_SECRET], (True, True)),
            ([NEXT_SECRET], (False, True)),
        ):
            async with coturn(port, tmp_path, *secrets):
                assert (await relays(port, old), await relays(port, new)) == accepted
