"""Structured logs on standard output, each line with the trace it belongs to."""

import logging
import sys
from typing import Literal

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from chassis.tracing import current_trace_id

Format = Literal["json", "text"]

_NOISY = {
    "asyncpg": logging.ERROR,
    "httpcore": logging.WARNING,
    "httpx": logging.WARNING,
    "uvicorn": logging.ERROR,  # it warns of each bad request, of which a stranger may send any number
    "nats": logging.ERROR,
    "opentelemetry": logging.ERROR,
}
"""Libraries that announce every ordinary step; what matters of it is logged by us as a fact."""


def open_logs(service: str, instance: str, *, level: str = "INFO", form: Format = "json") -> None:
    """Send this process's log lines, and those of the libraries in it, to standard output."""
    structlog.contextvars.clear_contextvars()
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _trace_id,
        _named(service, instance),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=_rendering(form)))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name, least in _NOISY.items():
        logging.getLogger(name).setLevel(least)


def _rendering(form: Format) -> list[Processor]:
    meta = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    if form == "text":
        return [
            meta,
            structlog.dev.ConsoleRenderer(
                colors=sys.stdout.isatty(), exception_formatter=structlog.dev.plain_traceback
            ),
        ]
    return [meta, structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]


def _trace_id(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    trace_id = current_trace_id()
    if trace_id is not None:
        event["trace_id"] = trace_id
    return event


def _named(service: str, instance: str) -> Processor:
    def name(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["service"] = service
        event["instance"] = instance
        return event

    return name
