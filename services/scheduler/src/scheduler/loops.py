"""What runs by the clock, and how often."""

from datetime import timedelta

from chassis.loops import Loop

from scheduler.dispatch import Dispatch
from scheduler.leadership import Leadership
from scheduler.lease import look_every

TICK_EVERY = timedelta(milliseconds=200)
"""How late a tick may be; looking at a calendar of a few lines costs microseconds."""


def leading(leadership: Leadership, lease: timedelta) -> Loop:
    """Keep the lease, or keep an eye on it."""
    return Loop("lease", look_every(lease), leadership.keep)


def ticking(dispatch: Dispatch) -> Loop:
    """Tell what is due."""
    return Loop("ticks", TICK_EVERY, dispatch.tick)
