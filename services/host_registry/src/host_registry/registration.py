"""A host comes, changes, drains and goes."""

from chassis.clock import Clock
from chassis.database import Database, Transaction
from chassis.idempotency import once
from chassis.requests import Asked
from contracts.hosts import ChangeHost, HostStatus, NameHost, RegisterHost
from contracts.identifiers import to_token

from host_registry.errors import (
    HostNotFoundError,
    NotForSettingError,
    NotHeardFromError,
    PeerTakenError,
    RegisteredSinceError,
)
from host_registry.store.reading import HostReader
from host_registry.store.registrations import RegistrationStore

SETTABLE = frozenset({HostStatus.ONLINE, HostStatus.BUSY, HostStatus.MAINTENANCE})

FIRST_TIMES = 3
"""First registrations of one host at once collide once, on its peer_id; whoever tries again finds the row there."""


class Registration:
    """Registering is an upsert: whoever knows the host_id renews all that is known of it."""

    def __init__(self, database: Database, store: RegistrationStore, reader: HostReader, clock: Clock) -> None:
        self._database = database
        self._store = store
        self._reader = reader
        self._clock = clock

    async def register(self, host: RegisterHost, asked: Asked) -> bytes:
        token = to_token(host.host_id)
        peer_id = host.peer_id or host.host_id
        for _ in range(FIRST_TIMES):
            try:
                return await self._register(host, token, asked)
            except PeerTakenError:
                if await self._store.host_of_peer(peer_id) not in {host.host_id, None}:
                    raise
        raise PeerTakenError(peer_id)

    async def _register(self, host: RegisterHost, token: str, asked: Asked) -> bytes:
        now = self._clock.now()
        if asked.idempotency_key is None:
            return await self._store.register(self._database, host, token, now)

        async def work(transaction: Transaction) -> bytes:
            return await self._store.register(transaction, host, token, now)

        return await once(self._database, asked, host, work)

    async def change(self, change: ChangeHost) -> bytes:
        status = change.status if "status" in change.model_fields_set else None
        if status is not None and status not in SETTABLE:
            raise NotForSettingError(status)
        host = await self._store.change(change, status, self._clock.now())
        if host is None:
            await self._reader.get(change.host_id)  # refuses when it is not there
            raise NotHeardFromError(change.host_id)
        return host

    async def drain(self, leaving: NameHost) -> bytes:
        """Drain; a host that drains already stays as it is."""
        drained = await self._store.drain(leaving.host_id, leaving.run_id, self._clock.now())
        if drained is not None:
            return drained
        host = await self._reader.get(leaving.host_id)  # refuses when it is not there
        if not await self._store.is_of_run(leaving.host_id, leaving.run_id):
            raise RegisteredSinceError(leaving.host_id)
        return host

    async def delete(self, leaving: NameHost) -> None:
        if await self._store.delete(leaving.host_id, leaving.run_id, self._clock.now()):
            return
        if await self._store.is_of_run(leaving.host_id, leaving.run_id):
            raise HostNotFoundError(leaving.host_id)
        await self._reader.get(leaving.host_id)  # refuses when it is not there
        raise RegisteredSinceError(leaving.host_id)
