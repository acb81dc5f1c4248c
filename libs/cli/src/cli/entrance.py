"""How a subcommand enters a suite's NATS."""

from pathlib import Path
from typing import NamedTuple


class Entrance(NamedTuple):
    nats: str
    credentials: Path | None
    """None where everybody is let in, or NATS_CREDS says which."""
