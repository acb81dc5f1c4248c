"""Sets of statuses as SQL spells them; which ones they are, the rules say (`sessions.py`)."""

from collections.abc import Set as AbstractSet

from contracts.sessions import SessionStatus


def listed(statuses: AbstractSet[SessionStatus]) -> str:
    """For behind `IN`. In one order, whatever a set's is: a statement is the same text in every process."""
    quoted = [f"'{status}'" for status in SessionStatus if status in statuses]
    return f"({', '.join(quoted)})"
