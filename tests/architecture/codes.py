"""docs/codes.md, out of the contracts: what ends a request or a WebSocket, and whether to try again.

`.venv/bin/python -m tests.architecture.codes` writes it anew.
"""

from collections.abc import Iterator
from pathlib import Path

from chassis.refusals import HTTP_STATUS
from contracts.closing import CLOSINGS
from contracts.refusals import MEANINGS, TRY_AGAIN, Code

DOCUMENT = Path(__file__).parents[2] / "docs/codes.md"

HEAD = """\
# Codes

What a request is refused with and what a WebSocket is closed with, and whether to try again. Match on the code: it
stays, the words beside it are for people. An answer's `retry_after_s` is `Retry-After` over HTTP. Whoever tries again
waits longer each time, up to half a minute, and not to the tick: thousands of clients lose a gateway at the same
moment. What creates something is repeated with the `Idempotency-Key` of the first time; everything else may simply be
said again.

This page is made out of the contracts, by `.venv/bin/python -m tests.architecture.codes`. `/asyncapi.json` has the
same for programs: `x-refusals`, `x-try-again`, `x-close-codes`.

## Requests

In the body as `code`, over REST with the HTTP status, on NATS with the header `Nats-Service-Error`. On a WebSocket it
is the `code` of an `error`, after which the connection lives unless it is closed too.

| code | HTTP | means | try again? |
|---|---|---|---|
"""

BETWEEN = """
## WebSockets

A connection that breaks without a word (1006 in a browser) is one to come back from.

| code | means | try again? |
|---|---|---|
"""


def document() -> str:
    return "".join((HEAD, *_refusals(), BETWEEN, *_closings()))


def _refusals() -> Iterator[str]:
    for code in Code:
        yield f"| `{code}` | {HTTP_STATUS[code].value} | {MEANINGS[code]} | {TRY_AGAIN[code]} |\n"


def _closings() -> Iterator[str]:
    for code, closing in CLOSINGS.items():
        yield f"| {code.value} | {closing.meaning} | {closing.try_again} |\n"


if __name__ == "__main__":
    DOCUMENT.write_text(document())
