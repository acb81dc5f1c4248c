"""What the shell completes: ids that the suite knows now, asked of a gateway and soon given up on."""

import json
import os
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import typer
from embedded.record import DataDir

from cli.options import DEFAULT_DATA_DIR
from cli.reach import KEY_VARIABLE

ANSWER_WITHIN_S = 1.0
"""Somebody has pressed a key and sees nothing until then."""

MOST = 1000


def host_ids(context: typer.Context, incomplete: str) -> list[str]:
    return _ids(context, "hosts", "host_id", incomplete)


def zone_ids(context: typer.Context, incomplete: str) -> list[str]:
    return _ids(context, "zones", "zone_id", incomplete)


def session_ids(context: typer.Context, incomplete: str) -> list[str]:
    return _ids(context, "sessions", "session_id", incomplete)


def _ids(context: typer.Context, things: str, name: str, incomplete: str) -> list[str]:
    """None where nobody answers, or wants a key that is not there: completing is no place for errors."""
    url = _gateway(context)
    if url is None:
        return []
    key = _given(context, "key") or os.environ.get(KEY_VARIABLE)
    asked = Request(  # noqa: S310  the scheme of --url was checked, the suite's own is http
        f"{url.rstrip('/')}/api/v1/{things}?{urlencode({'limit': MOST})}", headers={"X-API-Key": key} if key else {}
    )
    try:
        with urlopen(asked, timeout=ANSWER_WITHIN_S) as answer:  # noqa: S310
            return [one[name] for one in json.load(answer) if one[name].startswith(incomplete)]
    except (URLError, OSError, ValueError, KeyError, TypeError):
        return []


def _gateway(context: typer.Context) -> str | None:
    url = _given(context, "url")
    if url is not None:
        return url if url.startswith(("http://", "https://")) else None
    record = DataDir(Path(_given(context, "data_dir") or DEFAULT_DATA_DIR).resolve()).running()
    return record.gateways[0] if record is not None else None


def _given(context: Any, option: str) -> Any:
    """What stands behind the subcommand, else before it: nothing has been run yet that would hand it on."""
    while context is not None:
        if (value := context.params.get(option)) is not None:
            return value
        context = context.parent
    return None
