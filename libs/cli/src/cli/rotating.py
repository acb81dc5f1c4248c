"""`p2p keys rotate`: another key signs tokens, and those that were signed before hold until they end.

A gateway knows new keys from its start. Where there are several, all of them must know the new one before the first
signs with it: so they start again twice, one after the other.
"""

import asyncio
import sys
from pathlib import Path

import psutil
from embedded.errors import StillRunningError
from embedded.hints import p2p
from embedded.probes import http_ready
from embedded.record import DataDir, Record, ServiceRecord
from embedded.secrets import SigningKeys, are_made, new_secret

GATEWAY = "signaling_gateway"

BACK_WITHIN_S = 120.0
"""It first sends its clients away, for whom it has 15 s, and is started again by the suite."""

LOOK_EVERY_S = 0.1


def rotate_signing_key(data_dir: Path, *, leaked: bool) -> None:
    """Have the suite there sign with a new key; `leaked`: nothing that was signed before holds any more."""
    if not are_made(data_dir):
        start = p2p("up", "--mode", "enforced", data_dir=data_dir)
        sys.exit(f"error: nothing signs tokens on {data_dir}: no suite in enforced mode was started there (`{start}`)")
    directory = DataDir(data_dir.resolve())
    gateways = _gateways(directory.running())
    for keys in steps(SigningKeys.kept_in(data_dir), new_secret(), len(gateways), leaked=leaked):
        keys.keep(data_dir)
        asyncio.run(_start_again(directory, gateways))
    then = "no token of before holds" if leaked else "those of before hold until they end"
    when = "" if gateways else "; it signs from the next start"
    print(f"another key signs tokens, {then}{when}")


def steps(before: SigningKeys, new: str, gateways: int, *, leaked: bool) -> list[SigningKeys]:
    """What all gateways go by, one after the other: none meets a token whose key it does not know."""
    if leaked:
        return [SigningKeys(new, ())]
    signing = before.followed_by(new)
    return [before.accepting(new), signing] if gateways > 1 else [signing]


async def _start_again(directory: DataDir, gateways: list[ServiceRecord]) -> None:
    for gateway in gateways:
        await _started_again(directory, gateway.name)


async def _started_again(directory: DataDir, name: str) -> None:
    """End one, and wait for the one that takes its place."""
    before = _gateway(directory, name)
    process = before.pid.process() if before.pid else None
    try:
        if process is not None:
            process.terminate()
    except psutil.NoSuchProcess:
        pass  # its next start is on its way already
    except psutil.AccessDenied:
        why = f"pid {process.pid if process else 0} is another user's; rotate as that user, or as root"
        raise StillRunningError(directory.path, why) from None
    try:
        async with asyncio.timeout(BACK_WITHIN_S):
            while True:
                now = _gateway(directory, name)
                if now.pid not in {None, before.pid} and await http_ready(now.http):
                    return
                await asyncio.sleep(LOOK_EVERY_S)
    except TimeoutError:
        logs = p2p("logs", data_dir=directory.path)
        sys.exit(f"error: {name} is not ready {BACK_WITHIN_S:g} s after its end; `{logs}` may say why")


def _gateways(record: Record | None) -> list[ServiceRecord]:
    return [process for process in record.processes if process.service == GATEWAY] if record is not None else []


def _gateway(directory: DataDir, name: str) -> ServiceRecord:
    found = next((gateway for gateway in _gateways(directory.running()) if gateway.name == name), None)
    if found is None:
        sys.exit("error: the suite was stopped meanwhile; the new key signs from its next start")
    return found
