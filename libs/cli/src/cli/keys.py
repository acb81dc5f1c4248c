"""`p2p keys`: who may enter; makes keys, lists them and takes them back."""

import json
from collections.abc import Iterable
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from contracts import access as roles
from contracts.access import CREATE_KEY, LIST_KEYS, REVOKE_KEY, CreateKey, KeyPage, KeyRole, ListKeys, RevokeKey
from rich.text import Text

from cli.answers import JsonOption, answer, answers, collected, question
from cli.options import DEFAULT_DATA_DIR, DataDirOption
from cli.reach import Where, reaching_but_nats
from cli.rotating import rotate_signing_key
from cli.tables import Column, lines_of, room, show

keys = typer.Typer(no_args_is_help=True, help="Make, list and revoke keys.")


class Role(StrEnum):
    """Of whoever has the key."""

    GAME = "game"
    AI = "ai"
    SERVER = "server"
    OPERATOR = "operator"


OVER_NATS = frozenset({Role.GAME, Role.AI})

MOST_KEYS = 100_000

COLUMNS = (
    Column("key"),
    Column("role"),
    Column("name", leave_out=1, stretches=True),
    Column("made", leave_out=2),
    Column("by", leave_out=3, stretches=True),
    Column("state"),
)


AccountsOption = Annotated[
    Path | None,
    typer.Option(help="What `p2p nats configure` wrote, instead of the suite on --data-dir.", metavar="DIR"),
]


@keys.command()
@reaching_but_nats
def create(
    where: Where,
    role: Annotated[
        Role, typer.Option(help="game and ai are programs that enter NATS; server and operator call over REST.")
    ],
    nats: Annotated[
        Path | None, typer.Option(help="Where to write the credentials of game and ai.", metavar="FILE")
    ] = None,
    zone: Annotated[
        list[str] | None, typer.Option(help="That an AI server speaks of, once or more; all without.", metavar="ZONE")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Of whoever gets it, for `list` and `revoke`.")] = None,
    days: Annotated[int | None, typer.Option(help="That it lasts; for ever without.", min=1)] = None,
    accounts: AccountsOption = None,
) -> None:
    """Print a new API key, which is shown this once; or write credentials to a new file and print its path."""
    if role not in OVER_NATS:
        if nats is not None or zone or days is not None or accounts is not None:
            raise typer.BadParameter(f"a {role} shows an API key: --nats, --zone, --days and --accounts are not for it")
        wanted: KeyRole = roles.Role.SERVER if role is Role.SERVER else roles.Role.OPERATOR
        print(answer(where, CREATE_KEY, question(CreateKey, role=wanted, name=name)).key)
        return
    if nats is None:
        raise typer.BadParameter(f"where to write the credentials of a {role} server: --nats FILE")
    # Here, as below, because NATS's accounts take a third of a second to load, which every other subcommand would pay.
    from cli.nats_keys import create_credentials  # noqa: PLC0415

    lifetime = timedelta(days=days) if days else None
    print(create_credentials(where.data_dir, accounts, role, nats, zones=zone or [], name=name, lifetime=lifetime))


@keys.command("list")
@reaching_but_nats
def list_keys(
    where: Where,
    nats: Annotated[bool, typer.Option("--nats", help="Those for NATS.")] = False,
    as_json: JsonOption = False,
    accounts: AccountsOption = None,
) -> None:
    """Show who has a key, and who had one."""
    if not (nats or accounts):
        found = answers(where, lambda suite: collected(suite, LIST_KEYS, ListKeys(), MOST_KEYS))
        if as_json:
            print(json.dumps([key.model_dump(mode="json") for key in found.items], indent=2))
        else:
            show(_table(found))
        return
    from cli.nats_keys import list_credentials  # noqa: PLC0415

    list_credentials(where.data_dir, accounts, as_json=as_json)


@keys.command()
@reaching_but_nats
def revoke(
    where: Where,
    name: Annotated[str, typer.Argument(help="As `p2p keys list` shows it.")],
    nats: Annotated[bool, typer.Option("--nats", help="It is one for NATS.")] = False,
    accounts: AccountsOption = None,
) -> None:
    """Take a key back; whoever uses it is cut off within a second."""
    if not (nats or accounts):
        answer(where, REVOKE_KEY, question(RevokeKey, key_id=name))
        print(f"{name} is revoked, and every token that it asked for")
        return
    from cli.nats_keys import revoke_credentials  # noqa: PLC0415

    print(revoke_credentials(where.data_dir, accounts, name))


@keys.command()
def rotate(
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    leaked: Annotated[
        bool, typer.Option("--leaked", help="Somebody else has the key: end all tokens that it has signed.")
    ] = False,
) -> None:
    """Have another key sign tokens on this machine; its gateways start again, one after the other."""
    rotate_signing_key(data_dir, leaked=leaked)


def _table(found: KeyPage) -> Iterable[Text]:
    if not found.items:
        return [Text("no keys; `p2p keys create --role operator` makes one")]
    rows = (
        (
            key.key_id,
            key.role,
            key.name,
            f"{key.created_at:%Y-%m-%d}",
            key.created_by,
            "good" if key.revoked_at is None else f"revoked {key.revoked_at:%Y-%m-%d}",
        )
        for key in found.items
    )
    return lines_of(COLUMNS, rows, room())
