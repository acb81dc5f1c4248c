"""Who may connect to NATS: its operator, the suite's account, a role for each grant, and the users in them.

The roles' permissions stand in the account's token, which the server's configuration holds: a user's credentials only
name its role, so a release that grants more or less reaches them all with the next start. A role's key can vouch for
users of that role and no other.
"""

import json
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from contracts.credentials import USER_NAME
from contracts.grants import GRANTS, OPERATOR, PROCESSES, Grant, Permissions, permissions
from contracts.identifiers import identifier, to_token

from embedded.errors import EmbeddedError
from embedded.nats_jwt import Key, Kind, credentials, token
from embedded.private import held, private_directory, write_private

RESPONSE_WITHIN = timedelta(seconds=10)
"""Longer than any deadline of a request: how long an answer to a question may go to where it came from."""

CONFIGURATION = "accounts.conf"
BOOK = "accounts.json"

_UNLIMITED = {"subs": -1, "data": -1, "payload": -1}
_WHOLE_SERVER = {**_UNLIMITED, "imports": -1, "exports": -1, "wildcards": True, "conn": -1, "leaf": -1}
_WITH_JETSTREAM = {**_WHOLE_SERVER, "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1}


@dataclass(frozen=True)
class User:
    """Somebody who was given credentials; they themselves are not kept here."""

    name: str
    role: str
    public: str
    issued_at: int
    """Unix time, as the next two."""
    zones: tuple[str, ...] = ()
    """All, when none are named and the role has to do with zones."""
    expires_at: int | None = None
    revoked_at: int | None = None


@dataclass(frozen=True)
class _Book:
    """What is kept: the seeds of all that vouch for others, and the users."""

    made_at: int
    operator: str
    system: str
    account: str
    roles: dict[str, str] = field(default_factory=dict)
    users: tuple[User, ...] = ()

    @classmethod
    def made(cls) -> "_Book":
        operator, system, account = (Key.made(kind).seed for kind in (Kind.OPERATOR, Kind.ACCOUNT, Kind.ACCOUNT))
        return cls(int(time.time()), operator, system, account)

    @classmethod
    def read(cls, text: str) -> "_Book":
        written = json.loads(text)
        users = tuple(User(**{**user, "zones": tuple(user["zones"])}) for user in written.pop("users"))
        return cls(**written, users=users)

    def text(self) -> str:
        return json.dumps(asdict(self), indent=1)


class Accounts:
    """Everything about them, in one private directory; made by its first use and kept."""

    def __init__(self, directory: Path) -> None:
        self.directory = private_directory(directory)
        self._file = directory / BOOK
        with self._held():
            if not self._file.exists():
                self._keep(_Book.made())
            book = self._book()
            if missing := GRANTS.keys() - book.roles.keys():
                keys = {role: Key.made(Kind.ACCOUNT).seed for role in sorted(missing)}
                self._keep(replace(book, roles=book.roles | keys))

    @staticmethod
    def are_in(directory: Path) -> bool:
        return (directory / BOOK).exists()

    @property
    def configuration(self) -> Path:
        """To be included by the server's configuration; `configure` writes it."""
        return self.directory / CONFIGURATION

    @property
    def users(self) -> tuple[User, ...]:
        return self._book().users

    def configure(self) -> None:
        """Write what the server must know; it reads that at its start, and again on SIGHUP."""
        book = self._book()
        operator, system, account = Key(book.operator), Key(book.system), Key(book.account)
        about = {"type": "operator", "version": 2, "system_account": system.public}
        operator_token = token(operator, operator.public, "p2p", about, issued_at=book.made_at)
        about = {"type": "account", "version": 2, "limits": _WHOLE_SERVER}
        system_token = token(operator, system.public, "SYS", about, issued_at=book.made_at)
        account_token = token(operator, account.public, "P2P", _suite(book), issued_at=int(time.time()))
        write_private(
            self.configuration,
            f"""\
# Written by p2p; changes made here are lost. It holds no secret.
operator: {operator_token}
system_account: {system.public}
resolver: MEMORY
resolver_preload: {{
  {system.public}: {system_token}
  {account.public}: {account_token}
}}
""",
        )

    def issue(self, name: str, role: str, zones: Iterable[str] = (), lifetime: timedelta | None = None) -> str:
        """Make a user and give the text of its credentials file, which is kept nowhere."""
        if not USER_NAME.fullmatch(name):
            raise EmbeddedError(f"{name!r} can be no user's name: write 1 to 64 letters, digits, _ or -")
        now = int(time.time())
        key = Key.made(Kind.USER)
        expires_at = now + int(lifetime.total_seconds()) if lifetime else None
        user = User(name, role, key.public, now, _zones(GRANTS[role], zones), expires_at)
        with self._held():
            book = self._book()
            if self._has(name):
                raise EmbeddedError(f"{name} has credentials already; revoke them first, or choose another --name")
            self._keep(replace(book, users=(*book.users, user)))
        return credentials(_vouched(book, user), key)

    def credentials_of(self, name: str, role: str) -> Path:
        """The credentials file of a program on this machine, made once."""
        path = self.directory / f"{name}.creds"
        if self._has(name) and path.exists() and path.stat().st_size > 0:
            return path
        if self._has(name):  # the file is lost, and nobody knows to whom; or a crash of the machine has left none of it
            self.revoke(name)
        write_private(path, self.issue(name, role))
        return path

    def revoke(self, name: str) -> None:
        """Take a user's credentials back; the server acts upon it when it has read its configuration again."""
        with self._held():
            book = self._book()
            if not self._has(name):
                raise EmbeddedError(
                    f"{name} has no credentials that could be revoked; `p2p keys list --nats` shows all"
                )
            now = int(time.time())
            users = (
                replace(user, revoked_at=user.revoked_at or now) if user.name == name else user for user in book.users
            )
            self._keep(replace(book, users=tuple(users)))
        self.configure()

    def _has(self, name: str) -> bool:
        return any(user.name == name and user.revoked_at is None for user in self.users)

    def _held(self) -> AbstractContextManager[None]:
        return held(self.directory)

    def _book(self) -> _Book:
        try:
            return _Book.read(self._file.read_text())
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
            raise EmbeddedError(
                f"{self._file} cannot be understood; put it back from a copy, or remove {self.directory} "
                "and give all game and AI servers new credentials"
            ) from None

    def _keep(self, book: _Book) -> None:
        write_private(self._file, book.text())


def configure_suite(directory: Path) -> tuple[Path, ...]:
    """Make, or bring up to this release, all that a suite's servers and services are to be given."""
    accounts = Accounts(directory)
    names = (*(grant.name for grant in PROCESSES), OPERATOR.name)
    given = tuple(accounts.credentials_of(name, name) for name in names)
    accounts.configure()
    return (accounts.configuration, *given)


def _suite(book: _Book) -> dict[str, Any]:
    """The suite's account: its roles, and who is no longer welcome."""
    return {
        "type": "account",
        "version": 2,
        "limits": _WITH_JETSTREAM,
        "signing_keys": [
            {
                "kind": "user_scope",
                "key": Key(seed).public,
                "role": role,
                "template": _template(permissions(GRANTS[role])),
            }
            for role, seed in book.roles.items()
            if role in GRANTS
        ],
        "revocations": {user.public: user.revoked_at for user in book.users if user.revoked_at is not None},
    }


def _template(allowed: Permissions) -> dict[str, Any]:
    template: dict[str, Any] = {**_UNLIMITED, "pub": {"allow": allowed.publish}, "sub": {"allow": allowed.subscribe}}
    if allowed.respond:
        template["resp"] = {"max": 1, "ttl": int(RESPONSE_WITHIN.total_seconds() * 1e9)}
    return template


def _vouched(book: _Book, user: User) -> str:
    about: dict[str, Any] = {"type": "user", "version": 2, "issuer_account": Key(book.account).public}
    if GRANTS[user.role].zones:
        about["tags"] = [f"zone:{to_token(zone)}" for zone in user.zones] or ["zone:*"]
    signer = Key(book.roles[user.role])
    return token(signer, user.public, user.name, about, issued_at=user.issued_at, expires_at=user.expires_at)


def _zones(grant: Grant, zones: Iterable[str]) -> tuple[str, ...]:
    named = tuple(zones)
    if named and not grant.zones:
        raise EmbeddedError(f"--zone has no meaning for the role {grant.name}: it is not bound to zones")
    for zone in named:
        try:
            identifier(zone)
        except ValueError as error:
            raise EmbeddedError(f"{zone!r} can be no zone: it {error}") from error
    return named
