"""What every process reads from its environment; a service's own knobs stand in a subclass with its prefix."""

import json
import os
import socket
from collections.abc import Iterable
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar
from urllib.parse import quote

from dotenv import dotenv_values
from pydantic import AliasChoices, BeforeValidator, Field, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from chassis.credentials import read_user
from chassis.neighbours import is_link, with_files, without_links

SHARED_PREFIXES = ("NATS_", "POSTGRES_", "REDIS_", "AI_SERVICE_", "OTLP_", "LOG_")
"""Under these other programs have variables too (POSTGRES_INITDB_ARGS): only a near miss is taken for a misspelling."""

NEAR = 0.8
"""difflib's measure: one or two letters wrong in a name of ten."""

NEARLY_OURS = 0.95
"""Of a name under no prefix of ours, such as others have too (HTTPS_PORT): one letter too many or too few."""

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

ADDRESSES = {
    "POSTGRES_URL": ("POSTGRES_HOST", "POSTGRES_PORT", "POSTGRES_DB", "POSTGRES_USER", "POSTGRES_PASSWORD"),
    "REDIS_URL": ("REDIS_HOST", "REDIS_PORT", "REDIS_DB", "REDIS_PASSWORD"),
}
"""Each with the parts that it is made of where it is not given, and that are not looked at where it is."""

IN_FILES_TOO = frozenset({"POSTGRES_USER", "POSTGRES_DB"})
"""The official image of PostgreSQL reads these from a file as well; beside them, all that is secret."""


def shared(*names: str, **field: Any) -> Any:
    """A field that is read from these variables, without the service's prefix."""
    return Field(validation_alias=AliasChoices(*names), **field)


def _listed(value: Any) -> Any:
    """Read `prontera,geffen` as well as `["prontera", "geffen"]`; both are found in `.env` files."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return json.loads(value)
    return tuple(word.strip() for word in value.split(",") if word.strip())


Item = TypeVar("Item")

Listed = Annotated[tuple[Item, ...], NoDecode, BeforeValidator(_listed)]
"""Several of something in one variable: between commas, or a JSON list."""

Words = Listed[str]


def _postgres_url(read: dict[str, Any]) -> str:
    password = f":{quote(read['postgres_password'], safe='')}" if read["postgres_password"] else ""
    user = f"{quote(read['postgres_user'], safe='')}{password}"
    return f"postgresql://{user}@{read['postgres_host']}:{read['postgres_port']}/{quote(read['postgres_db'], safe='')}"


def _redis_url(read: dict[str, Any]) -> str:
    password = f":{quote(read['redis_password'], safe='')}@" if read["redis_password"] else ""
    return f"redis://{password}{read['redis_host']}:{read['redis_port']}/{read['redis_db']}"


class ServiceSettings(BaseSettings):
    """Read once, by `process.run`; a subclass sets `model_config = SettingsConfigDict(env_prefix="HOST_REGISTRY_")`."""

    model_config = SettingsConfigDict(frozen=True, env_file=".env", extra="ignore", populate_by_name=True)

    instance: str = shared("INSTANCE", default_factory=lambda: f"{socket.gethostname()}-{os.getpid()}")
    """Tells this process from others of the same service, in logs, spans and `$SRV` answers; by default
    the machine's name and the process's id."""

    nats_url: str = shared("NATS_URL", default="nats://127.0.0.1:4222")
    nats_creds: Path | None = shared("NATS_CREDS", default=None)
    """A credentials file, where NATS lets in only those who have one."""
    nats_replicas: int = shared("NATS_REPLICAS", default=1, ge=1, le=5)
    """On how many servers a stream is kept that a service makes: 3 in a cluster of three. Others stay as they are."""

    postgres_host: str = shared("POSTGRES_HOST", default="127.0.0.1")
    postgres_port: int = shared("POSTGRES_PORT", default=5432)
    postgres_db: str = shared("POSTGRES_DB", default="")
    """By default the service's name: each service has a database of its own."""
    postgres_user: str = shared("POSTGRES_USER", default="postgres")
    postgres_password: str = shared("POSTGRES_PASSWORD", default="", repr=False)
    postgres_url: str = shared("POSTGRES_URL", default_factory=_postgres_url, repr=False)
    """Instead of the five above, which it is made of otherwise."""

    http_host: str = shared("HTTP_HOST", default="127.0.0.1")
    http_port: int = shared("HTTP_PORT", default=0)
    """0 takes a free one; which, the log line `http.listening` says."""

    otlp_endpoint: str | None = shared("OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT", default=None)
    """Base URL of an OTLP/HTTP receiver, such as http://127.0.0.1:4318; traces are off without one."""

    log_level: str = shared("LOG_LEVEL", default="INFO")
    log_format: Literal["json", "text"] = shared("LOG_FORMAT", default="json")

    drain_seconds: float = shared("DRAIN_SECONDS", default=10.0)
    """How long a stopping process may take to finish what it has begun; then it is ended."""

    @classmethod
    def service_name(cls) -> str:
        """The service's name: its prefix in lower case."""
        return cls.model_config.get("env_prefix", "").rstrip("_").lower()

    @classmethod
    def variables(cls) -> set[str]:
        """The environment variables this service reads."""
        return _known(cls)

    @property
    def drain(self) -> timedelta:
        return timedelta(seconds=self.drain_seconds)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Those of pydantic-settings, of which the environment's two tell what was meant for us."""
        sources = (env_settings, dotenv_settings)
        given = {
            name.upper() for source in sources if isinstance(source, EnvSettingsSource) for name in source.env_vars
        }
        needless = {part for address, parts in ADDRESSES.items() if address in given for part in parts}
        for source in sources:
            if isinstance(source, EnvSettingsSource):
                ours = without_links(source.env_vars)
                ours = {name: value for name, value in ours.items() if name.upper() not in needless}
                source.env_vars = with_files(ours, _secret(settings_cls) - needless)
        return init_settings, *sources, file_secret_settings

    @model_validator(mode="before")
    @classmethod
    def _own_database(cls, read: dict[str, Any]) -> dict[str, Any]:
        if not {"POSTGRES_DB", "postgres_db"} & read.keys():
            read["postgres_db"] = cls.service_name()
        return read

    @field_validator("log_level")
    @classmethod
    def _level(cls, level: str) -> str:
        # Not what `logging` knows by now: uvicorn adds TRACE to it once it is imported.
        if level.upper() not in {*LEVELS, "WARN"}:
            raise ValueError(f"{level!r} is no level; choose one of {', '.join(LEVELS)}")
        return level

    @field_validator("nats_creds")
    @classmethod
    def _credentials(cls, path: Path | None) -> Path | None:
        if path is not None:
            read_user(path)
        return path

    @model_validator(mode="after")
    def _nothing_misspelt(self) -> Self:
        for name in _variables(self.model_config.get("env_file")):
            self._check(name)
        return self

    @classmethod
    def _check(cls, name: str) -> None:
        prefix = cls.model_config.get("env_prefix", "").upper()
        known = _known(cls) | _known(ServiceSettings) | _known(RedisSettings)
        in_files = (_secret(cls) | _secret(ServiceSettings) | _secret(RedisSettings)) if name.endswith("_FILE") else ()
        if name in known or name.removesuffix("_FILE") in in_files or is_link(name):
            return
        if prefix and name.startswith(prefix):
            near = get_close_matches(name, known, n=1, cutoff=0)
        elif name.startswith(SHARED_PREFIXES):
            near = get_close_matches(name, known, n=1, cutoff=NEAR)
        else:
            near = get_close_matches(name, known, n=1, cutoff=NEARLY_OURS)
        if near:
            raise ValueError(f"{name} is no setting; did you mean {near[0]}?")


class RedisSettings(BaseSettings):
    """For the services that use Redis, Valkey or Dragonfly: `class Settings(RedisSettings, ServiceSettings)`."""

    redis_host: str = shared("REDIS_HOST", default="127.0.0.1")
    redis_port: int = shared("REDIS_PORT", default=6379)
    redis_db: int = shared("REDIS_DB", default=0)
    redis_password: str = shared("REDIS_PASSWORD", default="", repr=False)
    redis_url: str = shared("REDIS_URL", default_factory=_redis_url, repr=False)
    """Instead of the four above, which it is made of otherwise."""


def _variables(env_file: Any) -> Iterable[str]:
    yield from (name.upper() for name in without_links(os.environ))
    if isinstance(env_file, (str, os.PathLike)):
        yield from (name.upper() for name in without_links(dotenv_values(env_file)))


def _known(settings: type[BaseSettings]) -> set[str]:
    prefix = settings.model_config.get("env_prefix", "")
    return {name.upper() for field, about in settings.model_fields.items() for name in _names(prefix, field, about)}


def _secret(settings: type[BaseSettings]) -> set[str]:
    """What may be given in a file: what is not to be shown, and what the official images take so."""
    prefix = settings.model_config.get("env_prefix", "")
    fields = settings.model_fields.items()
    names = {name.upper() for field, about in fields for name in _names(prefix, field, about) if not about.repr}
    return names | (_known(settings) & IN_FILES_TOO)


def _names(prefix: str, field: str, about: FieldInfo) -> Iterable[str]:
    if isinstance(about.validation_alias, AliasChoices):
        return [choice for choice in about.validation_alias.choices if isinstance(choice, str)]
    return [about.validation_alias] if isinstance(about.validation_alias, str) else [prefix + field]
