"""The `p2p` command: its subcommands, and how a failure is shown."""

import sys

import typer
from embedded.errors import EmbeddedError

from cli.demo import demo
from cli.down import down
from cli.status import status
from cli.up import up

# Plain help and errors: a program that calls us finds the reason in the last line, not inside a drawn box.
app = typer.Typer(
    name="p2p",
    help="Runs the P2P Coordinator on this machine.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command()(up)
app.command()(down)
app.command()(status)
app.command()(demo)


def main() -> None:
    try:
        app()
    except EmbeddedError as error:
        sys.exit(f"error: {error}")
