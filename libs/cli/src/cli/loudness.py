"""Which lines of its programs a suite puts in front of a person: what they warn of; the rest is for the log file."""

import re

LOUD = re.compile(
    r"""
    \[(?:warning|error|critical)\s*\]          # our services, as text
    | "level":\s*"(?:warning|error|critical)"  # as JSON
    | \[(?:WRN|ERR|FTL)\]                      # NATS
    | ^(?:WARNING|ERROR|FATAL|PANIC):          # PostgreSQL
    | ^Traceback                               # any Python that has not come as far as its log
    """,
    re.VERBOSE,
)

ORDINARY = re.compile(
    r"FATAL: {2}(?:the database system is (?:starting up|shutting down|not yet accepting connections)"
    r"|expected SASL response, got message type 88)"
)
"""What PostgreSQL says to whoever asks whether it is ready."""

BEGINS = re.compile(r"\d{4}-\d\d-\d\d[T ]|\{\"|\[\d+\] |[A-Z]+: |\d+:[A-Z] ")
"""How a line begins that goes with none before it: by a time, a brace, a pid, a level."""


class Loudness:
    """Remembers, for each program, whether what it is saying matters: a traceback is many lines."""

    def __init__(self) -> None:
        self._loud: dict[str, bool] = {}

    def matters(self, name: str, line: str) -> bool:
        """Whether a person should see it."""
        if BEGINS.match(line) or LOUD.search(line):
            self._loud[name] = bool(LOUD.search(line)) and not ORDINARY.search(line)
        return self._loud.get(name, False)
