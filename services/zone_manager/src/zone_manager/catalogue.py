"""Use case: zones are made, changed, switched and, once, seeded. One change of a zone at a time, zones side by side."""

from collections.abc import Callable, Iterable

import structlog
from chassis.clock import Clock
from chassis.database import Database, Transaction
from chassis.idempotency import once
from chassis.requests import Asked
from contracts.retelling import Retell, Retold
from contracts.zones import ChangeZone, ListZones, PutZone, SetZoneP2p, SetZoneStatus, Zone, ZonePage

from zone_manager.announcer import subject_of, zone_changed
from zone_manager.pages import page, read_cursor
from zone_manager.store import Kept, ZoneStore
from zone_manager.zones import Fields, changes, definition

AT_ONCE = 500
"""Zones told again in one transaction."""

log = structlog.stdlib.get_logger()


class Catalogue:
    """Every zone there is."""

    def __init__(self, database: Database, store: ZoneStore, clock: Clock) -> None:
        self._database = database
        self._store = store
        self._clock = clock

    async def list(self, question: ListZones) -> ZonePage:
        after = read_cursor(question.cursor)
        zones = await self._store.list(
            status=question.status, p2p_enabled=question.p2p_enabled, after=after, limit=question.limit + 1
        )
        return page(zones, question.limit)

    async def put(self, question: PutZone, asked: Asked) -> bytes:
        """Make the zone or renew it, once per idempotency key; gives the zone's JSON."""
        subject_of(question.zone_id)

        async def work(transaction: Transaction) -> Zone:
            return await self._put(transaction, question)

        return await once(self._database, asked, question, work)

    async def change(self, question: ChangeZone) -> Zone:
        return await self._change(question.zone_id, changes(question))

    async def set_status(self, question: SetZoneStatus) -> Zone:
        return await self._change(question.zone_id, {"status": question.status})

    async def set_p2p(self, question: SetZoneP2p) -> Zone:
        return await self._change(question.zone_id, {"p2p_enabled": question.p2p_enabled})

    async def retell(self, question: Retell) -> Retold:
        """Tell how zones stand under the revisions that they have: who knows them already passes over it."""

        async def work(transaction: Transaction) -> Retold:
            held = await self._store.hold(transaction, question.after, AT_ONCE)
            for each in held:
                await zone_changed(transaction, each.zone, each.revision, self._clock.now())
            return Retold(facts=len(held), after=held[-1].zone.id if len(held) == AT_ONCE else None)

        return await self._database.transact(work)

    async def seed(self, read: Callable[[], Iterable[PutZone]]) -> None:
        """Make these zones if this is the first start of all; later ones do not even read them."""

        async def work(transaction: Transaction) -> None:
            if await self._store.begin_seeding(transaction, self._clock.now()):
                for seed in read():
                    await self._put(transaction, seed)
                    log.info("zone.seeded", zone_id=seed.zone_id)

        await self._database.transact(work)

    async def _put(self, transaction: Transaction, zone: PutZone) -> Zone:
        kept = await self._store.put(transaction, zone.zone_id, definition(zone), self._clock.now())
        return await self._tell(transaction, kept)

    async def _change(self, zone_id: str, fields: Fields) -> Zone:
        async def work(transaction: Transaction) -> Zone:
            kept = await self._store.change(transaction, zone_id, fields, self._clock.now())
            return await self._tell(transaction, kept)

        return await self._database.transact(work)

    async def _tell(self, transaction: Transaction, kept: Kept) -> Zone:
        if kept.changed:
            await zone_changed(transaction, kept.zone, kept.revision, self._clock.now())
        return kept.zone
