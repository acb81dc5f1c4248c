"""docs/configuration.md, out of the settings classes.

`.venv/bin/python -m tests.architecture.configuration` writes it anew.
"""

import ast
import inspect
import textwrap
from collections.abc import Iterable, Iterator
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import typer.main
from chassis.settings import RedisSettings, ServiceSettings
from cli.main import app
from embedded.catalogue import SERVICES
from pydantic import AliasChoices
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings
from traces import settings as traces

DOCUMENT = Path(__file__).parents[2] / "docs/configuration.md"

HEAD = """\
# Configuration

Every variable that a process reads, its default, and the reason for it. `p2p up` sets what it must itself (addresses,
ports, secrets of its data directory) and hands on the rest of its environment: `PROBER_AT_ONCE=20 make run` works.

A process reads its environment and, beneath it, a file `.env` in its folder. A variable that is misspelt is an error
at the start, which names the nearest one. Lists are words between commas, or JSON. Where several names stand in a row,
each will do.

What is secret, and `POSTGRES_USER` and `POSTGRES_DB`, may stand in a file that `NAME_FILE` names, as with the official
images (`POSTGRES_PASSWORD_FILE=/run/secrets/postgres`). Where an address such as `POSTGRES_URL` is given, its parts are
not looked at. The variables that Kubernetes and Docker set for their links (`REDIS_PORT=tcp://…`,
`SCHEDULER_SERVICE_HOST`) are passed by, and so are those of `psql` (`PGSSLMODE`): the address says it.

This page is made out of the settings classes, by `.venv/bin/python -m tests.architecture.configuration`.
"""


def document() -> str:
    parts = [
        HEAD,
        _section("Every service", "", _fields(ServiceSettings)),
        _section("signaling_gateway, for Redis", "Redis, Valkey or Dragonfly.", _fields(RedisSettings)),
    ]
    for service in sorted(service.name for service in SERVICES):
        settings: type[ServiceSettings] = import_module(f"{service}.settings").Settings
        parts.append(_section(service, "", _fields(settings)))
    parts.append(_section("traces", "The store of spans that `p2p up` keeps.", _traces()))
    parts.append(_section("The `p2p` command", "Instead of an option.", _options(typer.main.get_command(app))))
    return "\n".join(parts)


Row = tuple[Iterable[str], Any, str]
"""The names of a variable, its default, the reason."""


def _section(title: str, about: str, rows: Iterable[Row]) -> str:
    lines = [f"| {', '.join(f'`{n}`' for n in names)} | {_shown(default)} | {why} |" for names, default, why in rows]
    return "\n".join(
        [f"## {title}", "", *([about, ""] if about else []), "| variable | default | |", "|---|---|---|", *lines, ""]
    )


def _shown(default: Any) -> str:
    match default:
        case None | "" | () | {}:
            return ""
        case bool():
            return f"`{str(default).lower()}`"
        case float():
            return f"`{default:g}`"
        case Path():
            return f"`{default.name}`"
        case _:
            return f"`{default}`"


def _fields(settings: type[BaseSettings]) -> Iterator[Row]:
    reasons = _reasons(settings)
    prefix = settings.model_config.get("env_prefix", "")
    for name in settings.__annotations__:
        if name in settings.model_fields:
            about = settings.model_fields[name]
            yield _names(prefix, name, about), _default(about), reasons.get(name, "")


def _names(prefix: str, name: str, about: FieldInfo) -> list[str]:
    if isinstance(about.validation_alias, AliasChoices):
        return [str(choice) for choice in about.validation_alias.choices]
    return [(prefix + name).upper()]


def _default(about: FieldInfo) -> Any:
    # What a function makes is not the same on another machine: the reason says what it is.
    return None if about.default_factory else about.default


def _reasons(settings: type[Any]) -> dict[str, str]:
    """The string beneath each field, as prose for a cell of a table."""
    body = ast.parse(textwrap.dedent(inspect.getsource(settings))).body[0]
    assert isinstance(body, ast.ClassDef)
    return {
        field.target.id: " ".join(text.value.value.split()).replace("|", "\\|")
        for field, text in pairwise(body.body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }


def _traces() -> Iterator[Row]:
    read = traces.Settings.read({})
    defaults = {
        "file": read.file,
        "port": read.port,
        "keep": traces.DEFAULT_KEEP_HOURS,
        "most_bytes": traces.DEFAULT_KEEP_MIB,
        "key": read.key,
    }
    for field, reason in _reasons(traces.Settings).items():
        name = reason.split(maxsplit=1)[0].rstrip(";:")
        yield [name], defaults[field], _sentence(reason.removeprefix(name).lstrip(";: "))


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def _options(command: Any) -> list[Row]:
    """Each once, though several subcommands take it."""
    found = {tuple(names): (names, default, why) for names, default, why in _walk(command)}
    return [found[names] for names in sorted(found)]


def _walk(command: Any) -> Iterator[Row]:
    for inner in getattr(command, "commands", {}).values():
        yield from _walk(inner)
    for option in command.params:
        if option.envvar:
            names = [option.envvar] if isinstance(option.envvar, str) else list(option.envvar)
            yield names, option.default, f"`{option.opts[0]}`: {getattr(option, 'help', '')}"


if __name__ == "__main__":
    DOCUMENT.write_text(document())
