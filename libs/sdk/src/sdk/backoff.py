"""How long to wait before trying again."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class Backoff:
    """Waits that double up to a bound, each shortened by chance so that many clients do not return as one."""

    first: timedelta = timedelta(milliseconds=250)
    longest: timedelta = timedelta(seconds=15)
    """A gateway that is away for long should be found within a beat of its return."""

    def delay(self, attempt: int, chance: float) -> timedelta:
        """Wait before the try after `attempt` failed ones (0 for the first); `chance` is in [0, 1)."""
        # The exponent is bounded because a timedelta is: a client may be trying for days.
        bound = min(self.longest, self.first * (1 << min(attempt, 20)))
        return bound * (0.5 + chance / 2)
