"""Keys for NATS: users of its accounts, whose credentials are files."""

import json
import secrets
import time
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

from embedded.errors import EmbeddedError
from embedded.hints import p2p
from embedded.nats import reload_nats
from embedded.nats_accounts import Accounts, User
from embedded.private import write_new_private
from embedded.record import DataDir
from embedded.secrets import nats_directory

from cli.tables import Column, show_table

COLUMNS = (
    Column("name"),
    Column("role"),
    Column("zones", leave_out=1, stretches=True),
    Column("made", leave_out=2),
    Column("state"),
)


def create_credentials(
    data_dir: Path,
    accounts: Path | None,
    role: str,
    file: Path,
    *,
    zones: Iterable[str],
    name: str | None,
    lifetime: timedelta | None,
) -> Path:
    """Make a user and write its credentials to `file`, which must be new."""
    book = _accounts(data_dir, accounts)
    # Before anybody is made of whom nobody would have the credentials.
    write_new_private(file, "")
    try:
        file.write_text(book.issue(name or f"{role}-{secrets.token_hex(3)}", role, zones, lifetime))
    except BaseException:
        file.unlink()
        raise
    return file


def list_credentials(data_dir: Path, accounts: Path | None, *, as_json: bool) -> None:
    users = _accounts(data_dir, accounts).users
    if as_json:
        print(json.dumps([asdict(user) for user in users], indent=2))
        return
    rows = ((user.name, user.role, ", ".join(user.zones) or "-", _day(user.issued_at), _state(user)) for user in users)
    show_table(COLUMNS, rows)


def revoke_credentials(data_dir: Path, accounts: Path | None, name: str) -> str:
    """Take them back, and have the server know; say what is left to do."""
    _accounts(data_dir, accounts).revoke(name)
    if accounts is not None:
        return f"{name} is revoked; have each NATS server read its configuration again (nats-server --signal reload)"
    record = DataDir(data_dir.resolve()).running()
    pid = record.pid_of("nats") if record else None
    if pid is None:
        return f"{name} is revoked"
    reload_nats(pid)
    return f"{name} is revoked and cut off"


def _accounts(data_dir: Path, accounts: Path | None) -> Accounts:
    directory = accounts or nats_directory(data_dir)
    if not Accounts.are_in(directory):
        make = f"`{p2p('up', '--mode', 'enforced', data_dir=data_dir)}` makes them"
        if accounts is not None:
            make = f"`p2p nats configure --out {accounts}` makes them"
        raise EmbeddedError(f"there are no accounts of NATS in {directory}; {make}")
    return Accounts(directory)


def _day(at: int) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}"


def _state(user: User) -> str:
    if user.revoked_at is not None:
        return f"revoked {_day(user.revoked_at)}"
    if user.expires_at is None:
        return "good"
    return f"good until {_day(user.expires_at)}" if user.expires_at > time.time() else "expired"
