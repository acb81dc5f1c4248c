"""Which suite a subcommand means, and how it is entered: the same options on each of them."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from inspect import Parameter, signature
from pathlib import Path
from typing import Annotated, Any

import typer
from embedded.hints import p2p
from embedded.record import DataDir, Record
from embedded.secrets import operator_credentials

from cli.entrance import Entrance
from cli.options import DEFAULT_DATA_DIR, read_url

KEY_VARIABLE = "P2P_KEY"


@dataclass(frozen=True)
class Where:
    """A suite: by its data directory on this machine, its NATS, or a gateway; the first that is given."""

    data_dir: Path = DEFAULT_DATA_DIR
    nats: str | None = None
    url: str | None = None
    key: str | None = None
    """Of a server or an operator, for `url`."""

    def entrance(self) -> Entrance:
        """Find its NATS, or say what to do; credentials for another than ours are in NATS_CREDS."""
        if self.url is not None:
            sys.exit("error: a gateway has no answer to this, only NATS has: give --nats URL or --data-dir")
        if self.nats is not None:
            return Entrance(self.nats, None)
        return Entrance(self.record().url_of("nats"), operator_credentials(self.data_dir))

    def record(self) -> Record:
        """What runs on the data directory, or say what to do."""
        record = DataDir(self.data_dir.resolve()).running()
        if record is None:
            sys.exit(
                f"error: nothing runs on {self.data_dir}; start it with `{p2p('up', data_dir=self.data_dir)}`, "
                "or say where it is with --url or --nats"
            )
        return record


def _option(name: str, kind: Any, option: Any) -> Parameter:
    return Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind, option])


_DATA_DIR = _option(
    "data_dir",
    Path | None,
    typer.Option(help="Where the suite on this machine keeps its data.", metavar="DIR", show_default=".data"),
)
_NATS = _option(
    "nats", str | None, typer.Option(help="Enter this NATS instead; NATS_CREDS names credentials.", metavar="URL")
)
_URL = _option(
    "url",
    str | None,
    typer.Option(help="Ask this gateway instead, with --key.", metavar="URL", callback=read_url),
)
_KEY = _option(
    "key",
    str | None,
    typer.Option(help="For --url: a server's or an operator's.", metavar="KEY", envvar=KEY_VARIABLE),
)
_CONTEXT = Parameter("context", Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)

Command = Callable[..., None]


def reaching(command: Command) -> Command:
    """Let a command be told which suite is meant, before or behind the name of a subcommand; it gets it as `where`."""
    return _told(command, (_DATA_DIR, _NATS, _URL, _KEY))


def reaching_but_nats(command: Command) -> Command:
    """The same for a command whose --nats means something else."""
    return _told(command, (_DATA_DIR, _URL, _KEY))


def _told(command: Command, options: tuple[Parameter, ...]) -> Command:
    own = [parameter for name, parameter in signature(command).parameters.items() if name not in {"where", "context"}]
    takes_context = "context" in signature(command).parameters

    @wraps(command)
    def told(context: typer.Context, **given: Any) -> None:
        before = context.obj if isinstance(context.obj, Where) else Where()
        choice = {option.name: given.pop(option.name) for option in options}
        where = context.obj = _where(before, **choice)
        if takes_context:
            given["context"] = context
        command(where=where, **given)

    parameters = [_CONTEXT, *(parameter.replace(kind=Parameter.KEYWORD_ONLY) for parameter in own), *options]
    told.__signature__ = signature(command).replace(parameters=parameters)  # type: ignore[attr-defined]  # typer reads it
    told.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return told


def _where(before: Where, data_dir: Path | None, url: str | None, key: str | None, nats: str | None = None) -> Where:
    key = key or before.key
    named = [name for name, given in (("--data-dir", data_dir), ("--nats", nats), ("--url", url)) if given is not None]
    if len(named) > 1:
        raise typer.BadParameter(f"{' and '.join(named)} name two suites: give one of them")
    if not named:
        return Where(before.data_dir, before.nats, before.url, key)
    return Where(data_dir or DEFAULT_DATA_DIR, nats, url, key)
