"""The HTTP side of a span receiver: OTLP in, whatever else it answers by a table. One thread a connection.

Exporters keep their connection and send a batch twice a second, so there are about as many threads as processes.
"""

import gzip
import json
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from errno import EMFILE, ENFILE
from hmac import compare_digest
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any
from urllib.parse import parse_qs, urlsplit

from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from traces.otlp import NotSpansError, Span, decode

LOOPBACK = "127.0.0.1"
PATH = "/v1/traces"
HEALTH = "/health/"
PROTOBUF = "application/x-protobuf"

MOST_BYTES = 4 * 1024 * 1024
"""As it travels. An exporter's batch of 512 spans has 300 KiB."""

MOST_UNPACKED = 32 * 1024 * 1024
"""A megabyte of gzip can be a gigabyte of nothing."""

IDLE_S = 60.0
"""An exporter is heard twice a second while there is anything to say; a silent connection costs a thread."""

OUT_OF_FILES_S = 0.1
"""Who waits to be let in waits on; without a pause we would ask for them without end."""

COMPLAIN_EVERY_S = 60.0

Keep = Callable[[list[Span]], None]
"""Takes the spans of one export; raises `AwayError` when it can't keep them now."""

Answers = Mapping[str, Callable[[str, Mapping[str, str]], Any]]
"""By the first part of a GET's path that fits: given the rest of the path and the query, it answers what JSON carries,
or raises `RefusedError`."""


class RefusedError(Exception):
    """The request cannot be served; its status and a word for whoever sent it."""

    def __init__(self, status: HTTPStatus, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class AwayError(RefusedError):
    """Spans can't be kept now; the exporter comes again."""

    def __init__(self, detail: str) -> None:
        super().__init__(HTTPStatus.SERVICE_UNAVAILABLE, detail)


@contextmanager
def receiving(keep: Keep, answers: Answers, port: int = 0, key: str = "") -> Iterator[int]:
    """Receive on `port` of 127.0.0.1, a free one if 0, until the block ends; yields the port.

    Who shows the `key` may send and ask, if there is one; whether all is well anybody may ask.
    """

    class Handler(_Handler):
        pass

    Handler.keep = staticmethod(keep)
    Handler.answers = answers
    Handler.shown = f"Bearer {key}".encode() if key else b""
    with _Server((LOOPBACK, port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, name="span receiver")
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


class _Server(ThreadingHTTPServer):
    # A connection that an exporter keeps open must not keep us from ending.
    daemon_threads = True
    block_on_close = False
    # All processes of a suite connect as it starts; past the library's five they would come again a second later.
    request_queue_size = 128
    _complained_at = -COMPLAIN_EVERY_S

    def get_request(self) -> Any:
        try:
            return super().get_request()
        except OSError as error:
            if error.errno in {EMFILE, ENFILE}:
                self._complain()
                time.sleep(OUT_OF_FILES_S)
            raise

    def _complain(self) -> None:
        now = time.monotonic()
        if now - self._complained_at >= COMPLAIN_EVERY_S:
            print("error: no file descriptor is left for another connection", flush=True)  # noqa: T201  its log
            self._complained_at = now


class _Handler(BaseHTTPRequestHandler):
    # Exporters keep their connection; 1.0 would make each export open a new one.
    protocol_version = "HTTP/1.1"
    timeout = IDLE_S
    disable_nagle_algorithm = True
    keep: Keep
    answers: Answers
    shown: bytes
    """What a request that is let in has as `Authorization`; empty when all are."""

    def do_POST(self) -> None:
        try:
            export = decode(self._body())
            self.keep(export.spans)
        except RefusedError as error:
            self._refuse(error.status, str(error))
        except NotSpansError as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error))
        else:
            answer = ExportTraceServiceResponse()
            if export.rejected:
                answer.partial_success.rejected_spans = export.rejected
                answer.partial_success.error_message = "spans without ids, or that end before they begin"
            self._send(HTTPStatus.OK, PROTOBUF, answer.SerializeToString())

    def do_GET(self) -> None:
        if "Content-Length" in self.headers or "Transfer-Encoding" in self.headers:
            self.close_connection = True  # a body that nobody reads must not be taken for the next request
        try:
            self._check_host()
            self._tell(HTTPStatus.OK, self._answer())
        except RefusedError as error:
            self._tell(error.status, {"detail": str(error)})

    def _answer(self) -> Any:
        asked = urlsplit(self.path)
        if not asked.path.startswith(HEALTH):
            self._check_key()
        query = {name: values[-1] for name, values in parse_qs(asked.query).items()}
        for path, answer in self.answers.items():
            if asked.path.startswith(path):
                return answer(asked.path.removeprefix(path), query)
        raise RefusedError(HTTPStatus.NOT_FOUND, f"nothing is here; there is {', '.join(self.answers) or PATH}")

    def _body(self) -> bytes:
        self.close_connection = True  # what we refuse before it is read must not be taken for the next request
        self._check_host()
        self._check_key()
        if urlsplit(self.path).path != PATH:
            raise RefusedError(HTTPStatus.NOT_FOUND, f"spans are taken at {PATH}")
        if self.headers.get_content_type() != PROTOBUF:
            raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"send {PROTOBUF}, as OTLP/HTTP exporters do")
        length, *more = self.headers.get_all("Content-Length", [""])
        if more or "Transfer-Encoding" in self.headers or not length.isdecimal():
            raise RefusedError(HTTPStatus.LENGTH_REQUIRED, "say how long the body is: Content-Length")
        if int(length) > MOST_BYTES:
            raise RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {MOST_BYTES} bytes at once")
        body = self.rfile.read(int(length))
        self.close_connection = self.headers.get("Connection", "").lower() == "close"
        match self.headers.get("Content-Encoding", "identity"):
            case "gzip":
                return _unpacked(body)
            case "identity":
                return body
            case other:
                raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"{other} is not read; send gzip or nothing")

    def _check_host(self) -> None:
        # A web page can have its own name lead to 127.0.0.1, and would then be let in by the browser.
        name = urlsplit(f"//{self.headers.get('Host', '')}").hostname
        if name not in (LOOPBACK, "localhost"):
            raise RefusedError(HTTPStatus.MISDIRECTED_REQUEST, f"this is {LOOPBACK}, asked under another name")

    def _check_key(self) -> None:
        shown = self.headers.get("Authorization", "").encode()
        if self.shown and not compare_digest(shown, self.shown):
            raise RefusedError(HTTPStatus.UNAUTHORIZED, "show the key of this store, as `Authorization: Bearer KEY`")

    def _refuse(self, status: HTTPStatus, detail: str) -> None:
        self._send(status, PROTOBUF, Status(message=detail).SerializeToString())

    def _tell(self, status: HTTPStatus, answer: Any) -> None:
        self._send(status, "application/json", json.dumps(answer, ensure_ascii=False).encode())

    def _send(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if status is HTTPStatus.SERVICE_UNAVAILABLE:
            self.send_header("Retry-After", "1")
        if status is HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", "Bearer")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name is the standard library's
        """Stay silent: every batch would be a line."""


def _unpacked(body: bytes) -> bytes:
    try:
        with gzip.GzipFile(fileobj=BytesIO(body)) as packed:
            unpacked = packed.read(MOST_UNPACKED + 1)
    except (EOFError, OSError, zlib.error) as error:
        raise RefusedError(HTTPStatus.BAD_REQUEST, "the body is not gzip, or not all of it") from error
    if len(unpacked) > MOST_UNPACKED:
        raise RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {MOST_UNPACKED} bytes unpacked")
    return unpacked
