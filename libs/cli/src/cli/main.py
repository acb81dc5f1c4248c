"""The `p2p` command: its subcommands, and how a failure is shown."""

import sys
from collections.abc import Iterator, MutableMapping
from importlib import import_module
from typing import Any

import typer
from embedded.errors import EmbeddedError
from typer.core import TyperGroup
from typer.main import get_group

SUBCOMMANDS = {
    "up": "cli.up",
    "down": "cli.down",
    "status": "cli.status",
    "doctor": "cli.doctor.command",
    "demo": "cli.demo",
    "kick": "cli.kick",
    "events": "cli.events",
    "trace": "cli.trace",
    "hosts": "cli.hosts",
    "zones": "cli.zones",
    "sessions": "cli.sessions",
    "jobs": "cli.jobs",
    "feed": "cli.feed",
    "keys": "cli.keys",
    "nats": "cli.nats",
}
"""Each in a module that has a function, or an app, of its name."""


class Subcommands(MutableMapping[str, Any]):
    """Those of p2p: a module is imported when its subcommand is wanted, since all together take half a second."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = _made(name, getattr(import_module(SUBCOMMANDS[name]), name))
        return self._made[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._made[name] = command

    def __delitem__(self, name: str) -> None:
        del self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(SUBCOMMANDS)

    def __len__(self) -> int:
        return len(SUBCOMMANDS)


class P2p(TyperGroup):
    """Knows its subcommands' names before it knows them."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = Subcommands()

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002  the name is typer's
        return list(self.commands)


# Plain help and errors: a program that calls us finds the reason in the last line, not inside a drawn box.
app = typer.Typer(name="p2p", cls=P2p, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.callback()
def p2p() -> None:
    """Runs the P2P Coordinator on this machine."""


def _made(name: str, found: Any) -> Any:
    holder = typer.Typer(add_completion=False, rich_markup_mode=None)
    if isinstance(found, typer.Typer):
        holder.add_typer(found, name=name)
    else:
        holder.command(name)(found)
    return get_group(holder).commands[name]


def main() -> None:
    try:
        app()
    except EmbeddedError as error:
        sys.exit(f"error: {error}")
