"""The servers the suite stands on, under one data directory."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from embedded.nats import nats_url, start_nats
from embedded.ports import LOOPBACK
from embedded.postgres import USER, Postgres
from embedded.process import Observer, Process
from embedded.secrets import Secrets
from embedded.span_store import span_store_url, start_span_store
from embedded.valkey import redis_url, start_valkey


@dataclass(frozen=True)
class Server:
    """How one of them is started, again and again on the same port and data."""

    name: str
    url: str
    """Without what only those may know who are let in."""
    port: int
    start: Callable[[], Awaitable[Process]]


@dataclass(frozen=True)
class Ports:
    nats: int
    postgres: int
    redis: int
    traces: int | None = None
    """Of the store of spans, where there is one."""


def servers(
    data_dir: Path,
    ports: Ports,
    databases: Iterable[str],
    observer: Observer,
    postgres_settings: Mapping[str, str] | None = None,
    secrets: Secrets | None = None,
) -> tuple[Server, ...]:
    """NATS, PostgreSQL, Redis and the store of spans; PostgreSQL counts as started when it has all `databases`.

    They let in who knows the `secrets`; without, everybody on this machine.
    """
    wanted = tuple(databases)
    accounts = secrets.nats_accounts if secrets else None
    redis_password = secrets.redis if secrets else None

    async def postgres() -> Process:
        cluster = Postgres.under(data_dir, secrets.postgres if secrets else None)
        process = await cluster.start(ports.postgres, observer, postgres_settings)
        try:
            await cluster.make_databases(ports.postgres, wanted)
        except BaseException:
            await process.stop()
            raise
        return process

    standing = (
        Server(
            "nats",
            nats_url(ports.nats),
            ports.nats,
            lambda: start_nats(data_dir / "nats", ports.nats, observer, accounts),
        ),
        Server("postgres", postgres_url(ports.postgres), ports.postgres, postgres),
        Server(
            "redis",
            redis_url(ports.redis),
            ports.redis,
            lambda: start_valkey(data_dir / "redis", ports.redis, observer, redis_password),
        ),
    )
    return (*standing, _span_store(data_dir, ports.traces, observer, secrets)) if ports.traces else standing


def _span_store(data_dir: Path, port: int, observer: Observer, secrets: Secrets | None) -> Server:
    key = secrets.traces if secrets else None
    return Server(
        "traces", span_store_url(port), port, lambda: start_span_store(data_dir / "traces", port, observer, key)
    )


def postgres_url(port: int, database: str = "postgres", password: str | None = None) -> str:
    return f"postgresql://{USER}{f':{password}' if password else ''}@{LOOPBACK}:{port}/{database}"
