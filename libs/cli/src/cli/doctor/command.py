"""The command itself: which checks there are for what is named, side by side, and what comes of them."""

import asyncio
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from embedded.catalogue import GATEWAY
from embedded.hints import p2p
from embedded.record import DataDir, Record
from embedded.secrets import operator_credentials, secrets_directory

from cli.answers import JsonOption
from cli.doctor import machine
from cli.doctor.findings import Check, Diagnosis, Finding, lines_of, warning
from cli.entrance import Entrance
from cli.reach import Where, reaching
from cli.tables import show

Checks = list[Coroutine[Any, Any, list[Finding]]]


@reaching
def doctor(where: Where, as_json: JsonOption = False) -> None:
    """Check what a suite stands on and say what to do: of the one on DIR, else of this machine, or of what is named."""
    diagnosis = Diagnosis.of(asyncio.run(_examined(where)))
    if as_json:
        print(diagnosis.model_dump_json(indent=2))
    else:
        show(lines_of(diagnosis))
    sys.exit(diagnosis.failed > 0)


async def _examined(where: Where) -> list[Finding]:
    if where.url is not None:
        checks = _of_gateway(where.url, where.key)
        return [machine.python(), *await _all(checks)]
    if where.nats is not None:
        return [machine.python(), *await _all(_of_nats(Entrance(where.nats, None)))]
    data_dir = where.data_dir.resolve()
    record = DataDir(data_dir).running()
    here = [machine.python(), machine.disk(data_dir), *machine.descriptors(record)]
    if record is None:
        return [*here, *machine.programs(), machine.port(), _nothing(where.data_dir)]
    return [*here, *await _all(_of_suite(record, where))]


def _nothing(data_dir: Path) -> Finding:
    remedy = f"`{p2p('up', data_dir=data_dir)}` starts one; --url or --nats names one elsewhere"
    return warning(Check.SERVICES, "suite", f"nothing runs on {data_dir}", remedy)


def _of_suite(record: Record, where: Where) -> Checks:
    # Here, as below, because the drivers and the SDK take most of a second to load, which `p2p --help` would pay.
    from cli.doctor import gateways, postgres, redis  # noqa: PLC0415

    ports = {server.name: server.port for server in record.servers}
    data_dir = where.data_dir.resolve()
    entrance = Entrance(record.url_of("nats"), operator_credentials(data_dir))
    return [
        *_of_nats(entrance),
        postgres.examine(ports["postgres"], _secret(data_dir, "postgres")),
        redis.examine("127.0.0.1", ports["redis"], _secret(data_dir, "redis")),
        *(
            gateways.ready(process.name, process.http, and_clock=process.service == GATEWAY)
            for process in record.processes
        ),
        _ice(record.gateways[0], where.key),
    ]


def _of_nats(entrance: Entrance) -> Checks:
    from cli.doctor import nats  # noqa: PLC0415

    return [nats.examine(entrance)]


def _of_gateway(url: str, key: str | None) -> Checks:
    from cli.doctor import gateways  # noqa: PLC0415

    return [gateways.ready(urlsplit(url).netloc, url, and_clock=True), _ice(url, key)]


async def _ice(url: str, key: str | None) -> list[Finding]:
    from cli.doctor import gateways, ice  # noqa: PLC0415

    servers, findings = await gateways.ice_servers(url, key)
    return [*findings, *await ice.reachable(servers)]


async def _all(checks: Checks) -> list[Finding]:
    return [finding for found in await asyncio.gather(*checks) for finding in found]


def _secret(data_dir: Path, name: str) -> str | None:
    """What enforced mode keeps; one of an earlier suite in that mode does no harm in open mode."""
    path = secrets_directory(data_dir) / name
    return path.read_text().strip() if path.exists() else None
