"""`python -m traces`: the store as a process, until it is told to stop."""

import resource
import signal
import sqlite3
import sys
import threading
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from traces import telling
from traces.otlp import Span
from traces.receiver import Answers, AwayError, RefusedError, receiving
from traces.settings import BadSettingError, Settings
from traces.store import Store, open_store

FORGET_EVERY_S = 60.0
"""What is forgotten a minute late has hurt nobody."""

DEFAULT_LIMIT = 20
MOST_TRACES = 100
"""Told in one answer; each is read whole."""

BAD_SETTINGS = 2


def main() -> None:
    try:
        settings = Settings.read()
    except BadSettingError as error:
        sys.stderr.write(f"traces: {error}\n")
        sys.exit(BAD_SETTINGS)
    # Each connection is one, and shells start programs with 1,024.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    told_to_stop = threading.Event()
    # The end of the terminal ends what was started from it, unless by nohup.
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    for number in (signal.SIGTERM, signal.SIGINT, *(() if ignored else (signal.SIGHUP,))):
        signal.signal(number, lambda *_: told_to_stop.set())
    with (
        open_store(settings.file, keep=settings.keep, most_bytes=settings.most_bytes) as store,
        receiving(_keeping(store), answers(store), settings.port, settings.key) as port,
    ):
        print(f"keeps spans sent to http://127.0.0.1:{port}", flush=True)  # noqa: T201  its log
        _forget_old(store)
        while not told_to_stop.wait(FORGET_EVERY_S):
            _forget_old(store)


def _forget_old(store: Store) -> None:
    try:
        store.forget_old()
    except sqlite3.OperationalError as error:  # the disk is full, or gone
        print(f"cannot forget now: {error}", flush=True)  # noqa: T201  its log


def answers(store: Store) -> Answers:
    """What may be asked of a store over HTTP."""

    def one(trace_id: str, _query: Mapping[str, str]) -> dict[str, Any]:
        spans = store.spans_of(trace_id.lower())
        if not spans:
            raise RefusedError(HTTPStatus.NOT_FOUND, f"no span of trace {trace_id!r} is kept")
        return telling.trace(trace_id.lower(), spans)

    def several(_rest: str, query: Mapping[str, str]) -> dict[str, Any]:
        found = {trace_id: store.spans_of(trace_id) for trace_id in store.traces(query.get("about"), _limit(query))}
        # What was found a moment ago may be forgotten by now.
        return {"traces": [telling.summary(trace_id, spans) for trace_id, spans in found.items() if spans]}

    def ready(_rest: str, _query: Mapping[str, str]) -> dict[str, Any]:
        return {"status": "ready", "away": []}

    return {"/api/traces/": one, "/api/traces": several, "/health/ready": ready}


def _keeping(store: Store) -> Any:
    def keep(spans: list[Span]) -> None:
        try:
            store.keep(spans)
        except sqlite3.OperationalError as error:  # the disk is full, or gone
            raise AwayError(f"spans cannot be kept now: {error}") from error

    return keep


def _limit(query: Mapping[str, str]) -> int:
    word = query.get("limit", str(DEFAULT_LIMIT))
    if not word.isdecimal() or not 1 <= int(word) <= MOST_TRACES:
        raise RefusedError(HTTPStatus.UNPROCESSABLE_ENTITY, f"limit is a number from 1 to {MOST_TRACES}")
    return int(word)


if __name__ == "__main__":
    main()
