"""`p2p trace`: what happened to a session, or in one trace, as a waterfall over all services, or as JSON."""

import asyncio
import json
import re
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from contracts.refusals import Code
from contracts.sessions import GET_SESSION, NameSession
from embedded.hints import p2p
from embedded.record import DataDir, Record
from embedded.secrets import traces_key_file
from rich.console import Console
from sdk import P2pError, RefusedError

from cli.answers import ANSWER_WITHIN
from cli.asking import linked
from cli.kept_traces import Store, settled
from cli.options import DEFAULT_DATA_DIR, DataDirOption, read_url
from cli.reach import Where
from cli.waterfall import Span, draw

TRACE_ID = re.compile(r"[0-9a-fA-F]{32}")

MOST_DRAWN = 5
"""More fill the screen twice; `--limit` draws more."""

STORE = "traces"

WHAT_IS_KEPT = """\
Kept are entries and changes up to 20 a second and gateway and 1 % beyond, refusals up to 20 a second, and of reads
and beats a few in a thousand; for 6 hours, or as TRACES_KEEP_HOURS said. To have one kept, send the request with
`traceparent: 00-<32 hex digits>-<16 hex digits>-01` (a header; in a frame a field), and ask for the 32 digits."""


def trace(
    what: Annotated[str, typer.Argument(help="A session's id (or a host's, a zone's), or a trace's.", metavar="ID")],
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    traces: Annotated[
        str | None,
        typer.Option(help="URL of a store of spans, instead of the suite's on DIR.", metavar="URL", callback=read_url),
    ] = None,
    key: Annotated[
        str, typer.Option(help="That the store asks for; by itself known of the suite on DIR.", envvar="TRACES_KEY")
    ] = "",
    limit: Annotated[int, typer.Option(help="Draw so many traces at most.", min=1, max=100)] = MOST_DRAWN,
    as_json: Annotated[bool, typer.Option("--json", help="Print the spans as JSON and nothing else.")] = False,
) -> None:
    """Show how a session came about, and what happened to it, over all services."""
    record = DataDir(data_dir.resolve()).running()
    store = Store(traces, key) if traces else Store(_store_of(record, data_dir), key or _key_of(data_dir))
    found = settled(lambda: _found(store, what, limit))
    if not found:
        sys.exit(f"error: {_nothing(what, None if traces else Where(data_dir))}")
    if as_json:
        print(json.dumps([span for spans in found for span in spans], indent=2))
        return
    console = Console(highlight=False)
    for number, spans in enumerate(found):
        if number:
            console.print()
        for line in draw([Span.of(span) for span in spans], console.width, ascii_only=console.options.ascii_only):
            console.print(line)


def _found(store: Store, what: str, limit: int) -> list[list[dict[str, Any]]]:
    """The spans of the trace, or of the latest that speak of the thing: what happened first comes first."""
    if TRACE_ID.fullmatch(what):
        ids = [what]
    else:
        ids = [summary["trace_id"] for summary in reversed(store.about(what, limit))]
    return [spans for trace_id in ids if (spans := store.spans(trace_id))]


def _store_of(record: Record | None, data_dir: Path) -> str:
    """Find the suite's, or say what to do."""
    if record is None:
        sys.exit(
            f"error: nothing runs on {data_dir}; start it with `{p2p('up', data_dir=data_dir)}`, or give --traces URL"
        )
    if record.port_of(STORE) is None:
        sys.exit("error: this suite keeps no spans, it was started with --otlp: look for them where it sends them")
    return record.url_of(STORE)


def _key_of(data_dir: Path) -> str:
    file = traces_key_file(data_dir)
    return file.read_text() if file.exists() else ""


def _nothing(what: str, where: Where | None) -> str:
    if TRACE_ID.fullmatch(what):
        return f"no span of trace {what} is kept\n{WHAT_IS_KEPT}"
    if what.startswith("session-") and where is not None and asyncio.run(_is_unknown(where, what)):
        return f"there is no session {what!r}: `{p2p('sessions', data_dir=where.data_dir)}` shows those there are"
    return f"no trace that speaks of {what!r} is kept\n{WHAT_IS_KEPT}"


async def _is_unknown(where: Where, session_id: str) -> bool:
    try:
        async with linked(where.entrance()) as link:
            await link.ask(GET_SESSION, NameSession(session=session_id), ANSWER_WITHIN)
    except RefusedError as error:
        return error.code is Code.SESSION_NOT_FOUND
    except P2pError:
        return False
    return False
