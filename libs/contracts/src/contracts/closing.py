"""Why a gateway ends a WebSocket: its close codes, what each says, and whether to come back."""

from collections.abc import Mapping
from enum import IntEnum
from typing import NamedTuple


class CloseCode(IntEnum):
    """What a gateway closes a WebSocket with; a code is never given another meaning."""

    MALFORMED = 1002
    NOT_READABLE = 1003
    NOT_UTF8 = 1007
    NOT_ALLOWED = 1008
    TOO_LARGE = 1009
    DEFECT = 1011
    RESTARTING = 1012
    TRY_LATER = 1013
    REPLACED = 4001


class Closing(NamedTuple):
    """One row of the table."""

    meaning: str
    try_again: str


CLOSINGS: Mapping[CloseCode, Closing] = {
    CloseCode.MALFORMED: Closing(
        "What came was no WebSocket frame.", "No: the client, or what stands between, is at fault."
    ),
    CloseCode.NOT_READABLE: Closing("One unreadable message after the other.", "No: mend the client first."),
    CloseCode.NOT_UTF8: Closing("A text that is no UTF-8.", "No: mend the client first."),
    CloseCode.NOT_ALLOWED: Closing(
        "Who calls may not be here, or sends far too much; the `error` before it and the reason say which.",
        "Yes, once, with a new token; otherwise no.",
    ),
    CloseCode.TOO_LARGE: Closing("A message of more than a MiB.", "Yes, without that message."),
    CloseCode.DEFECT: Closing(
        "A defect of ours, or no sign of life from the client for 40 s.", "Yes, a little later each time."
    ),
    CloseCode.RESTARTING: Closing(
        "The gateway restarts. Seats are kept for 30 s.",
        "Yes, after as long as the `reconnect` before it said: `after_ms`.",
    ),
    CloseCode.TRY_LATER: Closing(
        "The client reads too slowly, or something that is needed to let it in is away.",
        "Yes, a little later each time.",
    ),
    CloseCode.REPLACED: Closing(
        "The peer has a newer connection.", "No: that would throw the newer one out. Only if somebody asks for it."
    ),
}
"""A connection that breaks without a word (1006 in a browser) is one to come back from, a little later each time."""
