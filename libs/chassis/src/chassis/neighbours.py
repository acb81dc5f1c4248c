"""Variables that others have put into our environment: orchestrators' links, PostgreSQL's own, secrets in files."""

import os
import re
from collections.abc import Iterable, Mapping, MutableMapping
from pathlib import Path

LINK = re.compile(r"(?:tcp|udp|sctp)://\S+:\d+")
"""The value of NAME_PORT where Kubernetes (for each Service of the namespace) or Docker (`--link`) has set it."""

LINKED = re.compile(r"(.+)_SERVICE_(?:HOST|PORT(?:_[A-Z0-9_]+)?)|.+_PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:ADDR|PORT|PROTO))?")
"""The names that come with it."""

LIBPQ = (
    *("PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGUSER", "PGPASSWORD", "PGPASSFILE", "PGSERVICE"),
    *("PGSERVICEFILE", "PGOPTIONS", "PGSSLMODE", "PGSSLNEGOTIATION", "PGSSLCERT", "PGSSLKEY", "PGSSLROOTCERT"),
    *("PGSSLCRL", "PGSSLMINPROTOCOLVERSION", "PGSSLMAXPROTOCOLVERSION", "PGTARGETSESSIONATTRS", "PGKRBSRVNAME"),
    *("PGGSSLIB", "PGREQUIREAUTH", "PGCHANNELBINDING", "PGGSSENCMODE"),
)
"""What PostgreSQL's clients, asyncpg among them, fill in where an address leaves it out."""


class UnreadableSecretError(ValueError):
    """A file that a variable names instead of a value cannot be used."""


def forget_libpq(environment: MutableMapping[str, str] = os.environ) -> None:
    """Connect to PostgreSQL by what our settings say and nothing else: these are for the user's psql."""
    for name in LIBPQ:
        environment.pop(name, None)


def is_link(name: str) -> bool:
    """Whether only an orchestrator gives such a name; NAME_PORT, which others give as well, is told by its value."""
    return LINKED.fullmatch(name.upper()) is not None


def without_links(variables: Mapping[str, str | None]) -> dict[str, str | None]:
    """Those that somebody has set for us."""
    linked = {name.upper() for name, value in variables.items() if name.upper().endswith("_PORT") and _is_link(value)}
    return {name: value for name, value in variables.items() if not _came_with(name.upper(), linked)}


def with_files(variables: Mapping[str, str | None], secrets: Iterable[str]) -> dict[str, str | None]:
    """For each of `secrets` NAME that NAME_FILE is given of, what is in that file, as the official images have it."""
    read = dict(variables)
    by_name = {name.upper(): name for name in variables}
    for name in secrets:
        file = variables.get(by_name.get(f"{name}_FILE", ""))
        if not file:
            continue
        if variables.get(by_name.get(name, "")):
            raise UnreadableSecretError(f"{name} and {name}_FILE are both set; leave one of them out")
        read[by_name.get(name, name.lower())] = _text_of(name, Path(file))
    return read


def _text_of(name: str, file: Path) -> str:
    try:
        return file.read_text().rstrip("\r\n")
    except OSError as error:
        raise UnreadableSecretError(f"{name}_FILE: {file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UnreadableSecretError(f"{name}_FILE: {file} is no text") from error


def _is_link(value: str | None) -> bool:
    return value is not None and LINK.fullmatch(value.strip()) is not None


def _came_with(name: str, linked: set[str]) -> bool:
    found = LINKED.fullmatch(name)
    return name in linked or (found is not None and f"{found[1]}_PORT" in linked)
