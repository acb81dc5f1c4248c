"""What runs by the clock, and how often."""

from datetime import timedelta

from chassis.database import Database
from chassis.idempotency import forget_old_answers
from chassis.loops import Loop

from host_registry.deadlines import Silence
from host_registry.heartbeats import Heartbeats

FORGET_EVERY = timedelta(hours=1)
"""Answers to idempotency keys are kept for a day; an hour more costs nothing."""


def keeping_beats(heartbeats: Heartbeats, tick: timedelta) -> Loop:
    return Loop("beats", tick, heartbeats.keep)


def judging(silence: Silence, interval: timedelta) -> Loop:
    return Loop("deadlines", interval, silence.judge)


def forgetting(database: Database) -> Loop:
    async def forget() -> None:
        await forget_old_answers(database)

    return Loop("forgetting", FORGET_EVERY, forget)
