"""`p2p status`: what runs on a data directory, for people or as JSON."""

import asyncio
import json
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from embedded.probes import http_ready
from embedded.record import DataDir, Record, ServiceRecord
from rich.console import Console
from rich.table import Table

from cli.console import addresses
from cli.options import DEFAULT_DATA_DIR, DataDirOption

NOTHING: dict[str, Any] = {
    "gateways": [],
    "nats": None,
    "postgres": None,
    "redis": None,
    "processes": [],
    "servers": [],
}


def status(
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
) -> None:
    """Show where everything is, and whether it is ready now."""
    record = DataDir(data_dir.resolve()).running()
    if record is None:
        if as_json:
            print(json.dumps(NOTHING))
        sys.exit(f"nothing runs on {data_dir}; start it with `p2p up --data-dir {data_dir}`")
    ready = asyncio.run(_ready(record.processes))
    if as_json:
        print(json.dumps(_as_json(record, ready), indent=2))
    else:
        print(addresses(record))
        Console().print(_table(record, ready))


async def _ready(processes: Sequence[ServiceRecord]) -> list[bool]:
    """Ask each of them, not the record: it may have lost its database since."""
    return list(await asyncio.gather(*(http_ready(process.http) for process in processes)))


def _as_json(record: Record, ready: Sequence[bool]) -> dict[str, Any]:
    return {
        "gateways": record.gateways,
        **{server.name: server.url for server in record.servers},
        "processes": [
            {
                "service": process.service,
                "instance": process.name,
                "pid": record.pid_of(process.name),
                "ready": is_ready,
                "http": process.http,
            }
            for process, is_ready in zip(record.processes, ready, strict=True)
        ],
        "servers": [
            {"name": server.name, "pid": record.pid_of(server.name), "url": server.url} for server in record.servers
        ],
    }


def _table(record: Record, ready: Sequence[bool]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("instance", "pid", "ready", "health"):
        table.add_column(heading)
    for process, is_ready in zip(record.processes, ready, strict=True):
        table.add_row(
            process.name,
            str(record.pid_of(process.name) or "-"),
            "yes" if is_ready else "no",
            f"{process.http}/health/ready",
        )
    return table
