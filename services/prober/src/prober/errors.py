"""How a probe can fail: the host's way, which is told, and ours, which is not."""

from prober.measuring import Miss


class NotReachedError(Exception):
    """The host was not reached; that is what the probe found."""

    def __init__(self, miss: Miss) -> None:
        super().__init__(miss)
        self.miss = miss


class NotProbedError(Exception):
    """Something on our side kept us from finding out; says nothing of the host."""
