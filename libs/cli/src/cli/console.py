"""What a running suite writes: each line behind the coloured name of who said it."""

import sys
import zlib

from embedded.record import Record
from embedded.suite import SUPERVISOR

COLOURS = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)
"""ANSI foregrounds that can be read on black and on white; red is kept for what went wrong."""

NAME_WIDTH = len("signaling_gateway-10")


def show(name: str, line: str) -> None:
    """Write one line of `name`."""
    prefix = f"{name:<{NAME_WIDTH}} |"
    if sys.stdout.isatty():
        # By name and not by turn: an instance has the same colour tomorrow.
        colour = 1 if name == SUPERVISOR else COLOURS[zlib.crc32(name.encode()) % len(COLOURS)]
        prefix = f"\033[{colour}m{prefix}\033[0m"
    print(f"{prefix} {line}", flush=True)


def addresses(record: Record) -> str:
    """Where everything is, for people."""
    first, *others = record.gateways
    lines = [("gateway", first), *(("", url) for url in others), ("docs", f"{first}/docs")]
    lines += [
        ("NATS", record.url_of("nats")),
        ("PostgreSQL", record.url_of("postgres")),
        ("Redis", record.url_of("redis")),
    ]
    lines += [(server.name, server.url) for server in record.servers if server.name == "traces"]
    return "\n".join(f"  {what:<12}{url}" for what, url in lines)
