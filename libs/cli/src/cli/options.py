"""Options that several subcommands share, and how their words are read."""

from difflib import get_close_matches
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer
from embedded import hints
from embedded.catalogue import SERVICES
from embedded.ports import LOOPBACK

DEFAULT_DATA_DIR = hints.DEFAULT_DATA_DIR
DEFAULT_HTTP_PORT = 8001

DataDirOption = Annotated[Path, typer.Option(help="Where the servers keep their data.", metavar="DIR")]

NAMES = tuple(service.name for service in SERVICES)

MOST_REPLICAS = 32
"""Each is a process of its own; more than this on one machine is a slip of the finger."""


def read_replicas(words: list[str]) -> dict[str, int]:
    """Read SERVICE=N, once or more."""
    return dict(_one(word) for word in words)


def read_url(word: str | None) -> str | None:
    """Take http://HOST[:PORT], with a path or without."""
    if word is None or (word.startswith(("http://", "https://")) and urlsplit(word).hostname):
        return word
    raise typer.BadParameter(f"{word!r} is not a URL such as http://127.0.0.1:4318")


def read_host(word: str) -> str:
    """Take an address of this machine."""
    address = LOOPBACK if word == "localhost" else word
    try:
        return str(ip_address(address))
    except ValueError:
        raise typer.BadParameter(f"{word!r} is not an address such as 192.168.1.20") from None


def read_gateway(word: str | None) -> str | None:
    """Take the base URL of a gateway."""
    if word is not None and "://" not in word:
        raise typer.BadParameter(f"{word!r} is not a URL; did you mean http://{word}?")
    return read_url(word)


def _one(word: str) -> tuple[str, int]:
    name, equals, number = word.partition("=")
    service = name.strip().replace("-", "_")
    if service not in NAMES:
        nearest = get_close_matches(service, NAMES, n=1, cutoff=0)[0]
        raise typer.BadParameter(f"there is no service {name!r}; did you mean {nearest}? All: {', '.join(NAMES)}")
    if not equals or not number.isdecimal() or not 1 <= int(number) <= MOST_REPLICAS:
        raise typer.BadParameter(f"{word!r}: write {service}=N with N from 1 to {MOST_REPLICAS}")
    return service, int(number)
