"""Being somebody on NATS: whose credentials we have, and what the server says when it does not let us."""

import re
from pathlib import Path

import structlog
from contracts.credentials import user_of

from chassis.metrics import BUS_NOT_PERMITTED

log = structlog.stdlib.get_logger()

_NOT_PERMITTED = re.compile(r"permissions violation for (publish|subscription) to \"([^\"]*)", re.IGNORECASE)
_NOT_LET_IN = re.compile(r"authorization violation|authentication (expired|revoked|timeout)", re.IGNORECASE)


MOST_TOLD = 1000
"""Subjects carry identifiers: past so many, only the metric goes on counting."""


def read_user(path: Path) -> str:
    """Read whom a credentials file is for; ValueError with what to do when it can't be used."""
    advice = "`p2p nats configure` writes one for each service"
    try:
        return user_of(path.read_text())
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}); {advice}") from error
    except ValueError as error:
        raise ValueError(f"{path} cannot be used: {error}; {advice}") from error


class Complaints:
    """What the server refused us, told once each: in words that name the subject, or say whom to ask."""

    def __init__(self) -> None:
        self._told: set[str] = set()
        self._shut_out = False

    def hear(self, error: Exception) -> bool:
        """Whether `error` was such a refusal; then it is told."""
        words = str(error)
        if (refused := _NOT_PERMITTED.search(words)) is not None:
            self._not_permitted(*refused.groups())
            return True
        if _NOT_LET_IN.search(words) is None:
            return False
        if not self._shut_out:
            self._shut_out = True
            log.error(
                "bus.not_let_in",
                reason=words,
                advice="the credentials (NATS_CREDS) are missing, expired, revoked or another server's; "
                "put others there: the file is read again at each try",
            )
        return True

    def let_in(self) -> None:
        self._shut_out = False

    def _not_permitted(self, act: str, subject: str) -> None:
        BUS_NOT_PERMITTED.labels(act).inc()
        if subject not in self._told and len(self._told) < MOST_TOLD:
            self._told.add(subject)
            log.error("bus.not_permitted", act=act, subject=subject)
