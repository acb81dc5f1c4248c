"""What runs by the clock, and how often."""

from datetime import timedelta

from chassis.database import Database
from chassis.idempotency import forget_old_answers
from chassis.loops import Loop

from zone_manager.tallies import TallyStore
from zone_manager.tallying import KEPT

FORGET_EVERY = timedelta(hours=1)
"""What is forgotten is days old; an hour more costs nothing."""


def forgetting(database: Database, tallies: TallyStore) -> Loop:
    """Forget what no repeat can ask for any more."""

    async def forget() -> None:
        await forget_old_answers(database)
        await tallies.forget_sessions_over_since(KEPT)

    return Loop("forgetting", FORGET_EVERY, forget)
