"""`p2p demo`: this machine as a host with a chat in it, and the page that reaches it."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from embedded.record import DataDir

from cli.options import DEFAULT_DATA_DIR, DataDirOption


def demo(
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    url: Annotated[str | None, typer.Option(help="Of a gateway, instead of the suite on DIR.")] = None,
    zone: Annotated[str, typer.Option(help="Which the page offers first.")] = "prontera",
) -> None:
    """Host a chat here, and print the page that enters it."""
    gateway = (url or _gateway_of(data_dir)).rstrip("/")
    # Here, because WebRTC takes most of a second to load, which every other subcommand would pay.
    from cli.hosting import host_chat  # noqa: PLC0415

    host_chat(gateway, zone)


def _gateway_of(data_dir: Path) -> str:
    record = DataDir(data_dir.resolve()).running()
    if record is None:
        sys.exit(f"error: nothing runs on {data_dir}; start it with `p2p up --data-dir {data_dir}`, or give --url")
    return record.gateways[0]
