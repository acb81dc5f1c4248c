"""What session_manager does by the clock; ends of sessions come by the scheduler's ticks instead."""

from datetime import timedelta

from chassis.database import Database
from chassis.idempotency import forget_old_answers
from chassis.loops import Loop

from session_manager.absence import Absence
from session_manager.checkpoints import Checkpoints
from session_manager.fallback import Fallback
from session_manager.guarding import Guarding
from session_manager.shared_clock import SharedClock

GIVE_UP_SEATS_EVERY = timedelta(seconds=1)
"""A seat's grace is told in seconds."""

FINISH_MIGRATIONS_EVERY = timedelta(seconds=1)
"""Players wait meanwhile; where none does it is one look into an empty index."""

LOOK_AFTER_STANDBYS_EVERY = timedelta(seconds=1)
"""A session has one soon after its first player came, and as many seats there as players; where no zone asks for any
it is a look at the few rows that zones have."""

FORGET_EVERY = timedelta(hours=1)
"""Answers are kept for a day; an hour more or less of them is a few megabytes."""

KEEP_TIME_EVERY = timedelta(seconds=10)
"""Quartz strays by a millisecond meanwhile."""

REMOVE_DISCARDED_EVERY = timedelta(seconds=2)
"""Hosts store every few seconds, up to 10 MiB: what is replaced shall not pile up."""

REMOVE_STRAYS_EVERY = timedelta(minutes=10)
"""Uploads that were cut, which are few; a look names all objects that there are."""


def give_up_seats(absence: Absence) -> Loop:
    return Loop("give-up-seats", GIVE_UP_SEATS_EVERY, absence.give_up_seats)


def finish_migrations(fallback: Fallback) -> Loop:
    return Loop("finish-migrations", FINISH_MIGRATIONS_EVERY, fallback.finish_migrations)


def look_after_standbys(guarding: Guarding) -> Loop:
    return Loop("look-after-standbys", LOOK_AFTER_STANDBYS_EVERY, guarding.look)


def forget_answers(database: Database) -> Loop:
    return Loop("forget-answers", FORGET_EVERY, lambda: forget_old_answers(database))


def keep_time(clock: SharedClock) -> Loop:
    return Loop("keep-time", KEEP_TIME_EVERY, clock.look)


def remove_checkpoints(checkpoints: Checkpoints) -> tuple[Loop, Loop]:
    return (
        Loop("remove-discarded-checkpoints", REMOVE_DISCARDED_EVERY, checkpoints.remove_discarded),
        Loop("remove-stray-checkpoints", REMOVE_STRAYS_EVERY, checkpoints.remove_strays),
    )
