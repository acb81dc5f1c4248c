"""The three servers the suite stands on, under one data directory."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from embedded.nats import nats_url, start_nats
from embedded.ports import LOOPBACK
from embedded.postgres import USER, Postgres
from embedded.process import Observer, Process
from embedded.valkey import redis_url, start_valkey


@dataclass(frozen=True)
class Server:
    """How one of them is started, again and again on the same port and data."""

    name: str
    url: str
    port: int
    start: Callable[[], Awaitable[Process]]


@dataclass(frozen=True)
class Ports:
    nats: int
    postgres: int
    redis: int


def servers(
    data_dir: Path,
    ports: Ports,
    databases: Iterable[str],
    observer: Observer,
    postgres_settings: Mapping[str, str] | None = None,
) -> tuple[Server, Server, Server]:
    """NATS, PostgreSQL and Redis; PostgreSQL counts as started when it has all `databases`."""
    wanted = tuple(databases)

    async def postgres() -> Process:
        cluster = Postgres.under(data_dir)
        process = await cluster.start(ports.postgres, observer, postgres_settings)
        try:
            await cluster.make_databases(ports.postgres, wanted)
        except BaseException:
            await process.stop()
            raise
        return process

    return (
        Server("nats", nats_url(ports.nats), ports.nats, lambda: start_nats(data_dir / "nats", ports.nats, observer)),
        Server("postgres", postgres_url(ports.postgres), ports.postgres, postgres),
        Server(
            "redis",
            redis_url(ports.redis),
            ports.redis,
            lambda: start_valkey(data_dir / "redis", ports.redis, observer),
        ),
    )


def postgres_url(port: int, database: str = "postgres") -> str:
    return f"postgresql://{USER}@{LOOPBACK}:{port}/{database}"
