"""`p2p nats configure`: NATS's accounts and credentials for a suite that Docker or Kubernetes runs."""

from pathlib import Path
from typing import Annotated

import typer

nats = typer.Typer(no_args_is_help=True, help="Set up NATS for a suite that is run by other means than `p2p up`.")


@nats.callback()
def _group() -> None:
    """Without it, the one command would have no name."""


@nats.command()
def configure(
    out: Annotated[Path, typer.Option(help="Made private to you (0700), with everything in it.", metavar="DIR")],
) -> None:
    """Write NATS's accounts, and credentials for each service and for you.

    accounts.conf is for the servers (include "accounts.conf", or nats-server --config accounts.conf) and holds no
    secret; <service>.creds is for that service, which finds it by NATS_CREDS; operator.creds is yours; accounts.json
    can make any user, so it belongs on no server. Run again, it keeps what is there and brings the permissions up to
    this release. `p2p keys create --accounts DIR` makes credentials for game and AI servers.
    """
    # Here, because NATS's accounts take a third of a second to load, which every other subcommand would pay.
    from embedded.nats_accounts import configure_suite  # noqa: PLC0415

    for path in configure_suite(out):
        print(path)
