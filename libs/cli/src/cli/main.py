"""The `p2p` command: its subcommands, and how a failure is shown."""

import os
import sys
from collections.abc import Iterator, MutableMapping
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any

import typer
from embedded.errors import EmbeddedError
from typer.core import TyperGroup
from typer.main import get_group

SUBCOMMANDS = {
    "up": "cli.up",
    "down": "cli.down",
    "stop": "cli.down",
    "status": "cli.status",
    "logs": "cli.logs",
    "doctor": "cli.doctor.command",
    "backup": "cli.backup",
    "restore": "cli.backup",
    "refill": "cli.refill",
    "demo": "cli.demo",
    "kick": "cli.kick",
    "events": "cli.events",
    "trace": "cli.trace",
    "explain": "cli.zones",
    "hosts": "cli.hosts",
    "zones": "cli.zones",
    "sessions": "cli.sessions",
    "jobs": "cli.jobs",
    "feed": "cli.feed",
    "keys": "cli.keys",
    "nats": "cli.nats",
}
"""Each in a module that has a function, or an app, of its name."""


VARIABLES = ("P2P_HTTP_HOST", "P2P_HTTP_PORT", "P2P_KEY", "P2P_NATS_PORT", "P2P_SERVICE_HOST", "P2P_SERVICE_PORT")
"""Those of our own that stand for options; what else begins so is for the services, which look at it themselves."""

NEARLY = 0.9
"""difflib's measure: a letter or two."""


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

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find it; a slip of the finger is told the nearest, and `help` is what it says."""
        if args[0] == "help":
            print(ctx.get_help() if not args[1:] else self.resolve_command(ctx, args[1:])[1].get_help(ctx))
            ctx.exit()
        if args[0] not in self.commands:
            near = get_close_matches(args[0], self.commands, n=1)
            ctx.fail(f"there is no command {args[0]!r}; " + (f"did you mean {near[0]}?" if near else "see p2p --help"))
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002  the name is typer's
        return list(self.commands)


# Plain help and errors: a program that calls us finds the reason in the last line, not inside a drawn box.
app = typer.Typer(
    name="p2p",
    cls=P2p,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _say_version(wanted: bool) -> None:
    if wanted:
        print(f"p2p {version('cli')}")
        raise typer.Exit


@app.callback()
def p2p(
    _version: Annotated[
        bool, typer.Option("--version", help="Say which release this is.", callback=_say_version, is_eager=True)
    ] = False,
) -> None:
    """Runs the P2P Coordinator on this machine."""


def _made(name: str, found: Any) -> Any:
    holder = typer.Typer(add_completion=False, rich_markup_mode=None)
    if isinstance(found, typer.Typer):
        holder.add_typer(found, name=name)
    else:
        holder.command(name)(found)
    return get_group(holder).commands[name]


def _forget_links() -> None:
    """Kubernetes sets NAME_PORT=tcp://… for each Service, and more with it: for p2p, p2p-http and p2p-nats these."""
    with_it = {
        "P2P_PORT": ("P2P_SERVICE_HOST", "P2P_SERVICE_PORT"),
        "P2P_HTTP_PORT": ("P2P_HTTP_PORT",),
        "P2P_NATS_PORT": ("P2P_NATS_PORT",),
    }
    for link, ours in with_it.items():
        if os.environ.get(link, "").startswith(("tcp://", "udp://")):
            for name in ours:
                os.environ.pop(name, None)


def _check_spelling() -> None:
    """End the program for a variable that is nearly one of ours, with the nearest."""
    unknown = [name for name in os.environ if name.startswith("P2P_") and name not in VARIABLES]
    for name in unknown:
        if near := get_close_matches(name, VARIABLES, n=1, cutoff=NEARLY):
            print(f"error: {name} is no setting; did you mean {near[0]}?", file=sys.stderr)
            sys.exit(2)


def main() -> None:
    _forget_links()
    _check_spelling()
    try:
        app()
    except EmbeddedError as error:
        sys.exit(f"error: {error}")
