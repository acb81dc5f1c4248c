"""The facts zone_manager publishes."""

from datetime import datetime

from chassis.database import Transaction
from chassis.ids import new_event_id
from chassis.outbox import outbox_row, tell
from chassis.refusals import InvalidError
from contracts.zones import ZONE_CHANGED, Zone, ZoneFact


def subject_of(zone_id: str) -> str:
    """Give the subject of the zone's facts; InvalidError for an identifier too long for one."""
    try:
        return ZONE_CHANGED.of(zone_id=zone_id)
    except ValueError as error:
        raise InvalidError(f"The zone_id is too long: {error}.") from error


async def zone_changed(transaction: Transaction, zone: Zone, revision: int, now: datetime) -> None:
    """Tell, with the transaction's commit, how the zone stands now."""
    fact = ZoneFact(event_id=new_event_id(), occurred_at=now, revision=revision, zone_id=zone.zone_id, zone=zone)
    await tell(transaction, [outbox_row(subject_of(zone.zone_id), fact)])
