"""`p2p up`: runs the suite here until Ctrl-C, or in the background."""

import asyncio
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from embedded.certificates import authority_of
from embedded.errors import AlreadyRunningError, EmbeddedError
from embedded.plan import Mode, Plan
from embedded.record import DataDir, Record
from embedded.secrets import secrets_directory
from embedded.suite import SUPERVISOR, running

from cli.console import addresses, show
from cli.options import DEFAULT_DATA_DIR, DEFAULT_HTTP_PORT, DataDirOption, read_replicas, read_url

LOOK_EVERY_S = 0.05


def up(
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    http_port: Annotated[
        int,
        typer.Option(help="Of the first gateway; 0 takes a free one.", min=0, max=65535, envvar="P2P_HTTP_PORT"),
    ] = DEFAULT_HTTP_PORT,
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
) -> None:
    """Start the servers and the six services, and keep them running."""
    plan = Plan(data_dir, http_port or None, nats_port or None, read_replicas(replicas or []), mode=mode, otlp=otlp)
    if detach:
        print(_detached(plan))
    else:
        asyncio.run(_foreground(plan))


async def _foreground(plan: Plan) -> None:
    began = time.monotonic()
    _cancel_on_signals()
    try:
        async with running(plan, show) as suite:
            show(SUPERVISOR, f"all ready in {time.monotonic() - began:.1f} s")
            print(addresses(suite.record))
            print(f"  TLS         on the gateway's port too; trust {_authority(plan)}")
            print(f"  stop        Ctrl-C, or p2p down --data-dir {plan.data_dir}", flush=True)
            await asyncio.Event().wait()
    except asyncio.CancelledError:
        show(SUPERVISOR, "stopped")


def _cancel_on_signals() -> None:
    """Let Ctrl-C and SIGTERM cancel the caller, once: a second one must not cut the stopping short."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None  # noqa: S101  called from a coroutine

    def interrupt() -> None:
        if not task.cancelling():
            show(SUPERVISOR, "stopping: first the services, then the servers")
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt)


def _detached(plan: Plan) -> str:
    """Start ourselves again, holding nothing of the caller's, and wait until that suite is ready."""
    data_dir = DataDir(plan.data_dir.resolve())
    if data_dir.running():
        raise AlreadyRunningError(data_dir.path)
    data_dir.path.mkdir(parents=True, exist_ok=True)
    with data_dir.log.open("wb") as log:
        child = subprocess.Popen(
            _arguments(plan), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    try:
        record = _until_ready(child, data_dir)
    except KeyboardInterrupt:
        child.terminate()
        child.wait()
        raise
    tls = f"  TLS         on the gateway's port too; trust {_authority(plan)}"
    return (
        f"{addresses(record)}\n{tls}\n  log         {data_dir.log}\n  stop        p2p down --data-dir {plan.data_dir}"
    )


def _authority(plan: Plan) -> Path:
    return authority_of(secrets_directory(plan.data_dir.resolve()))


def _arguments(plan: Plan) -> list[str]:
    ports = ["--http-port", str(plan.http_port or 0), "--nats-port", str(plan.nats_port or 0)]
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
