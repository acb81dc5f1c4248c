"""`p2p status`: what runs on a data directory, for people or as JSON."""

import asyncio
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from embedded.hints import p2p
from embedded.probes import http_ready
from embedded.record import DataDir, Record, ServiceRecord

from cli.console import addresses
from cli.options import DEFAULT_DATA_DIR, DataDirOption
from cli.tables import Cell, Column, Tinted, show_table
from cli.tints import BAD, GOOD

COLUMNS = (Column("instance"), Column("pid", right=True, leave_out=2), Column("ready"), Column("health", leave_out=1))

NOTHING: dict[str, Any] = {
    "gateways": [],
    "nats": None,
    "postgres": None,
    "redis": None,
    "traces": None,
    "processes": [],
    "servers": [],
}


def status(
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
) -> None:
    """Show where everything is, and whether it is ready now."""
    directory = DataDir(data_dir.resolve())
    record = directory.running()
    if record is None:
        if as_json:
            print(json.dumps(NOTHING))
        sys.exit(_nothing(directory, data_dir))
    ready = asyncio.run(_ready(record.processes))
    if as_json:
        print(json.dumps(_as_json(record, ready), indent=2))
    else:
        print(addresses(record))
        show_table(COLUMNS, _rows(record, ready))


def _nothing(directory: DataDir, named: Path) -> str:
    if directory.is_held():
        return (
            f"a suite runs on {named}, or is about to stop, and where its parts are is not written down; "
            f"try again, or stop it with `{p2p('down', data_dir=named)}`"
        )
    return f"nothing runs on {named}; start it with `{p2p('up', data_dir=named)}`"


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


def _rows(record: Record, ready: Sequence[bool]) -> Iterable[tuple[Cell, ...]]:
    for process, is_ready in zip(record.processes, ready, strict=True):
        said = Tinted("yes", GOOD) if is_ready else Tinted("no", BAD)
        yield process.name, str(record.pid_of(process.name) or "-"), said, f"{process.http}/health/ready"
