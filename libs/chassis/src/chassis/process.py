"""The life of a process: read the settings, start, serve until told to stop, drain, and say how it ended."""

import asyncio
import gc
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from importlib.metadata import PackageNotFoundError, version
from typing import NoReturn, TypeVar

import structlog
import uvloop
from pydantic import ValidationError

from chassis.descriptors import raise_limit
from chassis.logs import open_logs
from chassis.neighbours import UnreadableSecretError, forget_libpq
from chassis.settings import ServiceSettings
from chassis.tracing import open_tracing

log = structlog.stdlib.get_logger()

S = TypeVar("S", bound=ServiceSettings)

DIED = 1
BAD_SETTINGS = 2


def run(service: Callable[[S], AbstractAsyncContextManager[None]], settings_class: type[S]) -> NoReturn:
    """Run one service in this process; it ends with 0 after a drain, 1 after a defect, 2 when a setting is bad."""
    forget_libpq()
    raise_limit()
    try:
        settings = settings_class()
    except ValidationError as error:
        sys.stderr.write(_explain(settings_class.service_name(), error))
        sys.exit(BAD_SETTINGS)
    except UnreadableSecretError as error:
        sys.stderr.write(f"{settings_class.service_name()}: {error}\n")
        sys.exit(BAD_SETTINGS)
    name = settings.service_name()
    open_logs(name, settings.instance, level=settings.log_level, form=settings.log_format)
    with (
        open_tracing(name, settings.instance, release_of(name), settings.otlp_endpoint),
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        ended = runner.run(_live(service, settings))
    sys.exit(ended)


def release_of(service: str) -> str:
    """The installed version of a service's package."""
    try:
        return version(service)
    except PackageNotFoundError:
        return "0.0.0"


def _explain(service: str, error: ValidationError) -> str:
    lines = []
    for found in error.errors(include_url=False):
        where = ".".join(str(part) for part in found["loc"])
        message = found["msg"].removeprefix("Value error, ")
        lines.append(f"{service}: {where + ': ' if where else ''}{message}\n")
    return "".join(lines)


async def _live(service: Callable[[S], AbstractAsyncContextManager[None]], settings: S) -> int:
    stop = asyncio.Event()
    serving = asyncio.Event()

    async def serve() -> None:
        async with service(settings):
            # What a service is made of stays: each full collection would look through all of it, for 45 to 100 ms.
            gc.collect()
            gc.freeze()
            serving.set()
            log.info("service.started")
            await stop.wait()
            log.info("service.draining")

    life = asyncio.create_task(serve(), name=settings.service_name())

    def told_to_stop() -> None:
        if stop.is_set() or not serving.is_set():  # a second signal, or nothing has begun that needs a drain
            life.cancel()
        stop.set()

    loop = asyncio.get_running_loop()
    # The end of the terminal ends what was started from it, unless by nohup.
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    for number in (signal.SIGTERM, signal.SIGINT, *(() if ignored else (signal.SIGHUP,))):
        loop.add_signal_handler(number, told_to_stop)
    log.info("service.starting")
    return await _ending(life, stop, settings.drain_seconds)


async def _ending(life: asyncio.Task[None], stop: asyncio.Event, drain_seconds: float) -> int:
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({life, stopping}, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.wait({life}, timeout=drain_seconds)
    stopping.cancel()
    if not life.done():
        log.error("service.drain_took_too_long", drain_seconds=drain_seconds)
        life.cancel()
        await asyncio.wait({life}, timeout=1)
        return DIED
    if life.cancelled():
        log.info("service.stopped", drained=False)
        return 0 if stop.is_set() else DIED
    if (error := life.exception()) is not None:
        log.critical("service.died", exc_info=error)
        return DIED
    log.info("service.stopped", drained=True)
    return 0
