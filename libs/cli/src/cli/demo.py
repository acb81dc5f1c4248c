"""`p2p demo`: this machine as a host with a chat in it, NPCs in its zone, and the page that reaches it."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from embedded.hints import p2p
from embedded.record import DataDir, Record
from embedded.secrets import operator_credentials

from cli.entrance import Entrance
from cli.options import DEFAULT_DATA_DIR, DataDirOption, read_gateway

HOSTS_TO_KILL_ONE_OF = 3


def demo(
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    url: Annotated[
        str | None, typer.Option(help="Of a gateway, instead of the suite on DIR.", callback=read_gateway)
    ] = None,
    nats: Annotated[str | None, typer.Option(help="Of the suite behind --url; without it there are no NPCs.")] = None,
    key: Annotated[
        str | None,
        typer.Option(help="For --url, a server's, where the gateway asks who calls.", metavar="KEY", envvar="P2P_KEY"),
    ] = None,
    zone: Annotated[str, typer.Option(help="Which the page offers first, and where the NPCs live.")] = "prontera",
    hosts: Annotated[
        int | None, typer.Option(help="So many of them on this machine, a process each.", min=1, max=9)
    ] = None,
    kill_host: Annotated[
        bool,
        typer.Option("--kill-host", help="Kill the host that carries the players; of 3, unless --hosts says else."),
    ] = False,
    kill_after: Annotated[float, typer.Option(help="Seconds of play before --kill-host.", min=0)] = 10,
) -> None:
    """Host a chat here, have NPCs wander about, and print the page that enters it."""
    if kill_host and hosts == 1:
        sys.exit("error: with --kill-host there must be somewhere to go: --hosts 2 or more")
    entrance = Entrance(nats, None) if nats else None
    if url is None:
        record = _running(data_dir)
        url, entrance = record.gateways[0], entrance or Entrance(record.url_of("nats"), operator_credentials(data_dir))
    # Here, because WebRTC takes most of a second to load, which every other subcommand would pay.
    from cli.hosting import Demo, host_chat  # noqa: PLC0415

    shown = Demo(
        url.rstrip("/"),
        zone,
        entrance,
        hosts or (HOSTS_TO_KILL_ONE_OF if kill_host else 1),
        kill_after if kill_host else None,
    )
    host_chat(shown, key)


def _running(data_dir: Path) -> Record:
    record = DataDir(data_dir.resolve()).running()
    if record is None:
        sys.exit(f"error: nothing runs on {data_dir}; start it with `{p2p('up', data_dir=data_dir)}`, or give --url")
    return record
