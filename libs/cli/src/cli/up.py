"""`p2p up`: runs the suite here until Ctrl-C, or in the background."""

import asyncio
import os
import subprocess
import sys
import time
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, BinaryIO

import typer
from embedded.certificates import authority_of
from embedded.errors import AlreadyRunningError, DataDirError, EmbeddedError
from embedded.hints import p2p
from embedded.plan import Mode, Plan
from embedded.ports import LOOPBACK
from embedded.process import SUPERVISOR
from embedded.record import DataDir, Record
from embedded.secrets import secrets_directory
from embedded.suite import running

from cli.console import Console, addresses, rows
from cli.ending import cancel_on_signals
from cli.options import DEFAULT_DATA_DIR, DEFAULT_HTTP_PORT, DataDirOption, read_host, read_replicas, read_url

LOOK_EVERY_S = 0.05

OPEN_ANYWAY = "SIGNALING_GATEWAY_OPEN_TO_NETWORK"
"""The gateway reads it, and says what it is for."""


def up(
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    http_port: Annotated[
        int,
        typer.Option(
            help="Of the first gateway; 0 takes a free one.",
            min=0,
            max=65535,
            envvar=["P2P_HTTP_PORT", "P2P_SERVICE_PORT"],
        ),
    ] = DEFAULT_HTTP_PORT,
    http_host: Annotated[
        str,
        typer.Option(
            help="Where gateways listen: an address of this machine, for players on others.",
            metavar="ADDRESS",
            envvar=["P2P_HTTP_HOST", "P2P_SERVICE_HOST"],
            callback=read_host,
        ),
    ] = LOOPBACK,
    nats_port: Annotated[
        int, typer.Option(help="Of NATS; 0 takes a free one.", min=0, max=65535, envvar="P2P_NATS_PORT")
    ] = 0,
    replicas: Annotated[
        list[str] | None, typer.Option(help="How many of a service; may be given for several.", metavar="SERVICE=N")
    ] = None,
    mode: Annotated[
        Mode, typer.Option(help="Who is let in: everybody on this machine, or who shows who they are.")
    ] = Mode.OPEN,
    otlp: Annotated[
        str | None,
        typer.Option(
            help="Send traces to this OTLP/HTTP receiver; else `p2p trace` shows the last hours of them.",
            metavar="URL",
            envvar=["OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"],
            callback=read_url,
        ),
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Return when all is ready, and leave it running.")] = False,
    logs: Annotated[
        bool, typer.Option("--logs", help="Show all that the programs say, not only what they warn of.")
    ] = False,
) -> None:
    """Start the servers and the six services, and keep them running."""
    if mode is Mode.OPEN and not ip_address(http_host).is_loopback and OPEN_ANYWAY not in os.environ:
        why = f"in open mode anybody who reaches {http_host} may do anything; add --mode enforced"
        raise typer.BadParameter(why, param_hint="--http-host")
    plan = Plan(
        data_dir,
        http_port or None,
        http_host,
        nats_port or None,
        read_replicas(replicas or []),
        mode=mode,
        otlp=otlp,
    )
    if detach:
        print(_detached(plan))
        return
    console = Console(_data_dir(plan).log, everything=logs)
    try:
        asyncio.run(_foreground(plan, console))
    finally:
        console.close()


async def _foreground(plan: Plan, console: Console) -> None:
    began = time.monotonic()

    def stopping() -> None:
        console.begin_line()
        console(SUPERVISOR, "stopping: first the services, then the servers")

    cancel_on_signals(stopping)
    try:
        async with running(plan, console) as suite:
            console(SUPERVISOR, f"all ready in {time.monotonic() - began:.1f} s")
            console.print(_ready(suite.record, plan, ("stop", "Ctrl-C, or")))
            await asyncio.Event().wait()
    except asyncio.CancelledError:
        console(SUPERVISOR, "stopped")


def _ready(record: Record, plan: Plan, *stops: tuple[str, str]) -> str:
    """All that one wants to know of it, on one screen; what is to be copied stands alone in its line."""
    where = rows(
        ("TLS", "on the console's port too; trust"),
        ("", f"{_authority(plan)}"),
        ("log", f"{_data_dir(plan).log}"),
    )
    then = rows(
        ("next", "in another terminal: a host and a page to play"),
        ("", p2p("demo", data_dir=plan.data_dir)),
        ("logs", p2p("logs", "--follow", data_dir=plan.data_dir)),
        *stops,
        ("" if stops else "stop", p2p("down", data_dir=plan.data_dir)),
    )
    return f"\n{addresses(record)}\n{where}\n\n{then}\n"


def _detached(plan: Plan) -> str:
    """Start ourselves again, holding nothing of the caller's, and wait until that suite is ready."""
    data_dir = _data_dir(plan)
    if data_dir.is_held():
        raise AlreadyRunningError(plan.data_dir)
    data_dir.make()
    with _opened(data_dir) as log:
        child = subprocess.Popen(
            _arguments(plan), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    try:
        record = _until_ready(child, data_dir)
    except KeyboardInterrupt:
        child.terminate()
        child.wait()
        raise
    return _ready(record, plan)


def _opened(data_dir: DataDir) -> BinaryIO:
    try:
        return data_dir.log.open("wb")
    except OSError as error:
        raise DataDirError(data_dir.log, "cannot be written", error) from error


def _data_dir(plan: Plan) -> DataDir:
    return DataDir(plan.data_dir.resolve())


def _authority(plan: Plan) -> Path:
    return authority_of(secrets_directory(_data_dir(plan).path))


def _arguments(plan: Plan) -> list[str]:
    ports = [
        "--http-host",
        plan.http_host,
        "--http-port",
        str(plan.http_port or 0),
        "--nats-port",
        str(plan.nats_port or 0),
    ]
    replicas = [word for service, count in plan.replicas.items() for word in ("--replicas", f"{service}={count}")]
    options = ["--data-dir", str(plan.data_dir), "--mode", plan.mode, *ports, *replicas]
    options += ["--otlp", plan.otlp] if plan.otlp else []
    return [sys.executable, "-P", "-m", "cli", "up", *options]


def _until_ready(child: subprocess.Popen[bytes], data_dir: DataDir) -> Record:
    while child.poll() is None:
        record = data_dir.read()
        if record is not None and record.supervisor.pid == child.pid and record.ready:
            return record
        time.sleep(LOOK_EVERY_S)
    raise EmbeddedError(_reason(data_dir.log))


def _reason(log: Path) -> str:
    """Its last line: where a foreground suite tells a person why it gave up."""
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1].removeprefix("error: ") if lines else f"it ended without a word; see {log}"
