"""What runs by the clock, and how often."""

from datetime import timedelta

from chassis.loops import Loop

from prober.rounds import Rounds


def looking(rounds: Rounds, every: timedelta) -> Loop:
    """Ask who is due."""
    return Loop("probes", every, rounds.begin)
