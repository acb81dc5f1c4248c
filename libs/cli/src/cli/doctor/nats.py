"""NATS: its version and clock, JetStream's streams and room, and which services answer on it."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from contracts.streams import ALL, DEAD_LETTERS, Stream
from embedded.catalogue import SERVICES
from nats.aio.client import Client
from nats.errors import Error as NatsError
from sdk import P2pError

from cli.asking import advice, linked
from cli.doctor.clocks import clock
from cli.doctor.findings import Check, Finding, failed, ok, warning
from cli.entrance import Entrance

OLDEST = (2, 10)
"""Consumers of several subjects came with it."""

NEARLY_FULL = 0.9
GATHER_S = 0.5
"""Each answers a ping within milliseconds."""

MIB = 1024**2


async def examine(entrance: Entrance) -> list[Finding]:
    try:
        async with linked(entrance) as link:
            client = link.client
            return [
                ok(Check.PORTS, "NATS", f"lets us in at {entrance.nats}"),
                _version(client.connected_server_version),
                *await _jetstream(client),
                *await _services(client),
            ]
    except P2pError as error:
        return [
            failed(Check.PORTS, "NATS", advice(error), "start it; the services wait for it and go on by themselves")
        ]
    except NatsError as error:
        remedy = "see its log; in a cluster JetStream is away for some seconds while it elects a leader"
        return [failed(Check.JETSTREAM, "NATS", str(error) or type(error).__name__, remedy)]


def _version(server: Any) -> Finding:
    said = f"{server.major}.{server.minor}.{server.patch}"
    if (server.major, server.minor) < OLDEST:
        return failed(Check.VERSIONS, "NATS", said, f"it takes {OLDEST[0]}.{OLDEST[1]} or newer")
    return ok(Check.VERSIONS, "NATS", said)


async def _jetstream(client: Client) -> list[Finding]:
    account = await _api(client, "INFO")
    if "error" in account:
        remedy = "switch JetStream on in the server's configuration, for this account too"
        return [failed(Check.JETSTREAM, "account", str(account["error"].get("description")), remedy)]
    findings = [_room(account)]
    for stream in ALL:
        asked = datetime.now(UTC)
        told = await _api(client, f"STREAM.INFO.{stream.name}")
        heard = datetime.now(UTC)
        if stream is ALL[0] and "ts" in told:  # one reading of the server's clock is enough
            findings.append(clock("NATS", datetime.fromisoformat(told["ts"]), asked, heard))
        findings.append(_stream(stream, told))
    return findings


async def _api(client: Client, what: str) -> dict[str, Any]:
    answer = await client.request(f"$JS.API.{what}", b"", timeout=3)
    told: dict[str, Any] = json.loads(answer.data)
    return told


def _room(account: Mapping[str, Any]) -> Finding:
    used, most = account["storage"], account["limits"]["max_storage"]
    if most <= 0:
        return ok(Check.JETSTREAM, "storage", f"{used / MIB:.0f} MiB used; the disk is its limit")
    said = f"{used / MIB:.0f} of {most / MIB:.0f} MiB used"
    if used > NEARLY_FULL * most:
        remedy = "raise max_file_store, or the account's limit: a full JetStream takes no facts"
        return failed(Check.JETSTREAM, "storage", said, remedy)
    return ok(Check.JETSTREAM, "storage", said)


def _stream(stream: Stream, told: Mapping[str, Any]) -> Finding:
    if "error" in told:
        remedy = "restart a service: each declares the streams that are missing"
        return failed(Check.JETSTREAM, stream.name, str(told["error"].get("description")), remedy)
    if missing := set(stream.subjects) - set(told["config"].get("subjects", ())):
        remedy = "restart a service of this release: it brings the stream up to date"
        return failed(Check.JETSTREAM, stream.name, f"does not keep {', '.join(sorted(missing))}", remedy)
    count = told["state"]["messages"]
    if stream is DEAD_LETTERS and count:
        remedy = f"their header says why: `nats stream view {stream.name}`; `nats stream purge {stream.name}` forgets"
        return warning(Check.JETSTREAM, stream.name, f"{count} messages were given up on", remedy)
    return ok(Check.JETSTREAM, stream.name, f"there, {count} messages")


async def _services(client: Client) -> Iterable[Finding]:
    """Who answers a ping, by kind and release."""
    there: dict[str, list[str]] = defaultdict(list)
    inbox = client.new_inbox()

    async def hear(message: Any) -> None:
        told = json.loads(message.data)
        there[told["name"]].append(told["version"])

    subscription = await client.subscribe(inbox, cb=hear)
    await client.publish("$SRV.PING", b"", reply=inbox)
    await client.flush()
    await asyncio.sleep(GATHER_S)
    await subscription.unsubscribe()
    return [_kind(service.name, sorted(there[service.name])) for service in SERVICES]


def _kind(name: str, releases: list[str]) -> Finding:
    if not releases:
        return failed(Check.VERSIONS, name, "none answers on NATS", "start one; `p2p status` shows what runs here")
    said = f"{len(releases)} of {releases[0]}"
    if len(set(releases)) > 1:
        remedy = "nothing while an upgrade goes on; else restart the old ones"
        return warning(Check.VERSIONS, name, f"several releases: {', '.join(releases)}", remedy)
    return ok(Check.VERSIONS, name, said)
