"""How many of what comes in leave a trace, over REST and sockets alike."""

from chassis.sampling import Rate, UpTo

FLOOD = Rate(0.001)
"""Of a thousand beats, or of a thousand signals, one shows what all of them do."""

READ = Rate(0.01)

A_SECOND = 20
"""An entry has fifteen spans at 60 us: kept all, a thousand a second would take most of two cores."""


def up_to_a_bound() -> UpTo:
    """Keep so many a second, and few beyond."""
    return UpTo(A_SECOND, then=0.01)
