"""All that is published, in one place: every request, every other subject, every message; for documents and checks."""

from collections.abc import Iterator
from importlib.resources import files
from itertools import zip_longest
from types import ModuleType
from typing import Any

from pydantic import BaseModel

from contracts import access, frames, gateway, hosts, jobs, npcs, probes, refusals, retelling, sessions, warp, zones
from contracts.streams import ALL, Stream
from contracts.subjects import Rpc, Subject

MODULES: tuple[ModuleType, ...] = (
    hosts,
    zones,
    sessions,
    jobs,
    npcs,
    probes,
    access,
    gateway,
    frames,
    warp,
    refusals,
    retelling,
)
"""One for each owner, and those that several owners share."""

BUILDING_BLOCKS = frozenset(
    {"Answering", "Frame", "FrameIn", "FrameOut", "Machine", "Requirements", "Signal", "SignalOut", "WarpFrame"}
)
"""What messages are built of; never sent by themselves. A Frame's bytes are one of the frames."""

BETWEEN_GATEWAYS = "p2p.gateway."
"""How this begins is one service's own affair, and may change with it."""

GOLDENS = files("contracts") / "goldens"


def requests() -> dict[str, Rpc[Any, Any]]:
    """Every request, by its subject."""
    return {value.subject: value for value in _values() if isinstance(value, Rpc)}


def subjects() -> dict[str, Subject[Any]]:
    """Every other subject that is spoken between programs, by its pattern."""
    found = {value.pattern: value for value in _values() if isinstance(value, Subject)}
    return {pattern: subject for pattern, subject in found.items() if not pattern.startswith(BETWEEN_GATEWAYS)}


def messages() -> dict[str, type[BaseModel]]:
    """Every message, by its name, where it is defined."""
    return {
        value.__name__: value
        for module in MODULES
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, BaseModel)
        and value.__module__ == module.__name__
        and value.__name__ not in BUILDING_BLOCKS
    }


def golden(message: type[BaseModel]) -> str:
    """One such message as JSON, with every field that it may have."""
    return (GOLDENS / f"{message.__name__}.json").read_text()


def stream_of(subject: Subject[Any]) -> Stream | None:
    """The stream that keeps what is said there, if any does."""
    words = subject.wildcard.split(".")
    return next((stream for stream in ALL if any(_within(words, one.split(".")) for one in stream.subjects)), None)


def _within(words: list[str], wide: list[str]) -> bool:
    for word, allowed in zip_longest(words, wide):
        if allowed == ">":
            return word is not None
        if allowed != word and (allowed != "*" or word is None):
            return False
    return True


def _values() -> Iterator[Any]:
    for module in MODULES:
        yield from vars(module).values()
