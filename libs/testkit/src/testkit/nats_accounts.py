"""A NATS that lets in only whom it knows, for tests of those who enter it."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from embedded.nats import nats_url, reload_nats, start_nats
from embedded.nats_accounts import Accounts
from embedded.ports import free_port


class Deaf:
    """Told of everything, hears nothing."""

    def spawned(self, name: str, pid: int) -> None: ...

    def wrote(self, name: str, line: str) -> None: ...

    def ended(self, name: str) -> None: ...


@dataclass(frozen=True)
class GuardedNats:
    """The server, and the accounts that say who may enter."""

    url: str
    accounts: Accounts
    _pid: int

    def issue(self, name: str, role: str, zones: Iterable[str] = (), lifetime: timedelta | None = None) -> Path:
        """Make a user and give its credentials file."""
        path = self.accounts.directory / f"{name}.creds"
        path.write_text(self.accounts.issue(name, role, zones, lifetime))
        return path

    def revoke(self, name: str) -> None:
        self.accounts.revoke(name)
        reload_nats(self._pid)


@asynccontextmanager
async def guarded_nats(directory: Path) -> AsyncIterator[GuardedNats]:
    """Run one, with everything it keeps in `directory`."""
    accounts = Accounts(directory / "secrets")
    accounts.configure()
    port = free_port()
    process = await start_nats(directory / "nats", port, Deaf(), accounts.configuration)
    try:
        yield GuardedNats(nats_url(port), accounts, process.pid)
    finally:
        await process.stop()
