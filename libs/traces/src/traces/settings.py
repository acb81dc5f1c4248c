"""What the store is told by its environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Self

DEFAULT_KEEP_HOURS = "6"
"""An evening of play: what went wrong in it can be asked for before going to bed."""

DEFAULT_KEEP_MIB = "256"
"""A span takes 330 to 600 bytes with its indexes, a join 40 spans: 10,000 joins, on a disk that nobody notices."""

LEAST_MIB = 1

LINKED = ("tcp://", "udp://")
"""How TRACES_PORT begins where Kubernetes has set it, for a Service called traces: that is no word for us."""


class BadSettingError(ValueError):
    """A variable that cannot be used; the message names it."""


@dataclass(frozen=True)
class Settings:
    file: Path
    """TRACES_FILE"""
    port: int
    """TRACES_PORT; 0 takes a free one. The host is 127.0.0.1: spans name players."""
    keep: timedelta
    """TRACES_KEEP_HOURS: older spans go."""
    most_bytes: int
    """TRACES_KEEP_MIB: past it the oldest spans go, however young."""
    key: str = field(default="", repr=False)
    """TRACES_KEY: who sends spans or asks for them shows it, as `Authorization: Bearer`; without, nobody is asked."""

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> Self:
        return cls(
            Path(environment.get("TRACES_FILE", "traces.db")),
            int(_number(environment, "TRACES_PORT", "4318", 0)),
            timedelta(hours=_number(environment, "TRACES_KEEP_HOURS", DEFAULT_KEEP_HOURS, 0)),
            int(_number(environment, "TRACES_KEEP_MIB", DEFAULT_KEEP_MIB, LEAST_MIB) * 1024 * 1024),
            environment.get("TRACES_KEY", ""),
        )


def _number(environment: Mapping[str, str], name: str, default: str, least: float) -> float:
    word = environment.get(name, default)
    if word.startswith(LINKED):
        word = default
    try:
        number = float(word)
    except ValueError:
        raise BadSettingError(f"{name}={word!r} is not a number") from None
    if not least <= number < float("inf"):
        raise BadSettingError(f"{name}={word!r} must be {least:g} or more")
    return number
