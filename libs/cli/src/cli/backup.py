"""`p2p backup` and `p2p restore`: the databases of the suite on this machine, as files and back."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from embedded.backup import back_up
from embedded.backup import restore as restored
from embedded.hints import p2p

from cli.options import DEFAULT_DATA_DIR, DataDirOption


def backup(
    into: Annotated[Path, typer.Argument(help="Where to: a directory that is empty, or made.", metavar="DIR")],
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
) -> None:
    """Write the databases of the suite that runs into files, while it runs."""
    asyncio.run(back_up(data_dir.resolve(), into))
    print(f"backed up in {into}; `{p2p('restore', str(into))}` with a --data-dir that is empty makes a suite of it")


def restore(
    backup: Annotated[Path, typer.Argument(help="What `p2p backup` wrote.", metavar="DIR")],
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
) -> None:
    """Fill a data directory that has no databases yet from a backup."""
    asyncio.run(restored(backup, data_dir.resolve()))
    print(f"restored; start it with `{p2p('up', data_dir=data_dir)}`")
