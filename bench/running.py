"""The suite that is measured: how it is named, which processes it has, and the CPU that each has used."""

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

from contracts.jobs import JOB_DONE, RUN_JOB, JobDue, JobFact
from nats.aio.client import Client

P2P = Path(sys.executable).with_name("p2p")


def read_options(about: str | None, **given: float | str) -> argparse.Namespace:
    """Read `--data-dir` and an option under each of these names, whose default is given."""
    options = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data-dir", default=".data")
    for name, default in given.items():
        options.add_argument(f"--{name}", type=type(default), default=default)
    return options.parse_args()


def new_key(role: str, data_dir: str) -> str:
    """Have an API key made."""
    made = subprocess.check_output([P2P, "keys", "create", "--role", role, "--data-dir", data_dir], text=True)
    return made.strip()


def status(data_dir: str) -> dict[str, Any]:
    """What `p2p status` knows of it."""
    known: dict[str, Any] = json.loads(subprocess.check_output([P2P, "status", "--json", "--data-dir", data_dir]))
    return known


def database_of(service: str, suite: dict[str, Any]) -> str:
    """Where a service's database is."""
    return str(suite["postgres"]).rpartition("/")[0] + f"/{service}"


def cpu_seconds(pid: int) -> float:
    """User and system time of a process since it started."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def resident_bytes(pid: int) -> int:
    """What of a process is in memory now."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()


async def run_job(client: Client, name: str) -> JobFact:
    """Make a job due, and wait until it is done."""
    over = await client.subscribe(JOB_DONE.wildcard)
    answer = await client.request(RUN_JOB.subject, json.dumps({"job": name}).encode())
    due = JobDue.model_validate_json(answer.data)
    while True:
        fact = JobFact.model_validate_json((await over.next_msg(timeout=60)).data)
        if fact.job is due.job and fact.due_at >= due.due_at:
            await over.unsubscribe()
            return fact
