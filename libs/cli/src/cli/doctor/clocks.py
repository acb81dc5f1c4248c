"""How far a server's clock is from ours: its reading against the middle of asking and hearing."""

from datetime import datetime, timedelta

from cli.doctor.findings import Check, Finding, failed, ok, warning
from cli.spans import in_words

DOUBTFUL_FROM = timedelta(seconds=0.5)
TOO_FAR_FROM = timedelta(seconds=2)
"""A question on NATS carries its deadline, 3 s ahead by its asker's clock: past that, every answer comes too late."""

REMEDY = "let NTP keep the clocks of both machines: `timedatectl` shows whether it does"


def clock(
    about: str, theirs: datetime, asked: datetime, heard: datetime, resolution: timedelta = timedelta()
) -> Finding:
    """Judge by what is sure: half the way there and back, and half a coarse clock's step, prove nothing."""
    apart = abs(theirs + resolution / 2 - (asked + (heard - asked) / 2))
    doubt = (heard - asked) / 2 + resolution / 2
    sure = max(timedelta(), apart - doubt)
    said = f"{in_words(sure.total_seconds())} apart at least" if sure else f"within {in_words(doubt.total_seconds())}"
    if sure >= TOO_FAR_FROM:
        return failed(Check.CLOCKS, about, said, REMEDY)
    if sure >= DOUBTFUL_FROM:
        return warning(Check.CLOCKS, about, said, REMEDY)
    return ok(Check.CLOCKS, about, said)
