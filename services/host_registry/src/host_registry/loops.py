"""What runs by the clock, and how often."""

from datetime import timedelta

from chassis.database import Database
from chassis.idempotency import forget_old_answers
from chassis.loops import Loop

from host_registry.beat_intake import BeatIntake
from host_registry.deadlines import Silence
from host_registry.measuring import Measuring
from host_registry.witnesses import Witnesses

FORGET_EVERY = timedelta(hours=1)
"""Answers to idempotency keys are kept for a day; an hour more costs nothing."""


def ticking(intake: BeatIntake, silence: Silence, witnesses: Witnesses, tick: timedelta) -> Loop:
    """Write the beats that were heard, then judge silence: what came before a deadline counts."""

    async def work() -> None:
        await intake.keep()
        await silence.judge()
        await witnesses.forget()

    return Loop("tick", tick, work)


def weighing(measuring: Measuring, tick: timedelta) -> Loop:
    """Apart from the tick: after an outage there may be much to weigh, and a late tick would count as an absence."""
    return Loop("weighing", tick, measuring.weigh)


def forgetting(database: Database) -> Loop:
    async def forget() -> None:
        await forget_old_answers(database)

    return Loop("forgetting", FORGET_EVERY, forget)
