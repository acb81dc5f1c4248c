"""The store as a process, fed by the exporter that services ship, asked over HTTP."""

import gzip
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import httpx
import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from testkit.patience import patient

from libs.traces.tests.exporting import exporting, leave_a_trace


@contextmanager
def running(directory: Path, **more: str) -> Iterator[httpx.Client]:
    environment = {"TRACES_FILE": str(directory / "traces.db"), "TRACES_PORT": "0", **more}
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "traces"], env=environment, stdout=subprocess.PIPE, text=True
    )
    with process:
        try:
            assert process.stdout is not None
            found = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
            assert found is not None
            with httpx.Client(base_url=found[0], timeout=patient(10)) as client:
                yield client
        finally:
            process.terminate()
    assert process.returncode == 0


@pytest.fixture
def store(tmp_path):
    """A client of it."""
    with running(tmp_path) as client:
        yield client


def traces(store, **query):
    return store.get("/api/traces", params=query).json()["traces"]


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip])
def test_a_trace_is_found_by_the_session_it_speaks_of_and_told_with_all_its_spans(store, compression):
    with exporting(str(store.base_url), compression):
        other = leave_a_trace("session-b")
        trace_id = leave_a_trace("session-a", spans=3)
    (found,) = traces(store, about="session-a")
    assert (
        found.items()
        >= {
            "trace_id": trace_id,
            "name": "POST /join",
            "service": "doubler",
            "services": ["doubler"],
            "spans": 3,
            "failed": False,
        }.items()
    )
    root, *below = store.get(f"/api/traces/{trace_id}").json()["spans"]
    assert (root["name"], root["kind"], root["parent_id"]) == ("POST /join", "SERVER", None)
    assert (root["service"], root["instance"], root["version"]) == ("doubler", "doubler-1", "1.2")
    assert [(span["name"], span["parent_id"]) for span in below] == [
        ("publish p2p.events.sessions.joined", root["span_id"]),
        ("work 0", root["span_id"]),
    ]
    assert below[0]["attributes"]["p2p.session_id"] == "session-a"
    start, end = (datetime.fromisoformat(root[at]) for at in ("start", "end"))
    assert (end - start).total_seconds() * 1000 == pytest.approx(root["duration_ms"], abs=0.002)
    assert [trace["trace_id"] for trace in traces(store)] == [trace_id, other]


def test_20_000_spans_are_20_000_kept(store):
    ids = []
    for _ in range(2):  # the exporter's queue holds 16,384
        with exporting(str(store.base_url)):
            ids += [leave_a_trace("session-a", spans=100) for _ in range(100)]
    kept = traces(store, about="session-a", limit=100)
    assert {trace["spans"] for trace in kept} == {100}
    assert {trace["trace_id"] for trace in kept} <= set(ids)
    assert sum(len(store.get(f"/api/traces/{one}").json()["spans"]) for one in ids) == 20_000


PROTOBUF = {"Content-Type": "application/x-protobuf"}


@pytest.mark.parametrize(
    ("headers", "body", "status", "word"),
    [
        (PROTOBUF, b"\xff garbage", 400, "not an ExportTraceServiceRequest"),
        ({"Content-Type": "application/json"}, b"{}", 415, "send application/x-protobuf"),
        ({**PROTOBUF, "Content-Encoding": "gzip"}, b"not gzip", 400, "not gzip"),
        ({**PROTOBUF, "Content-Encoding": "br"}, b"", 415, "br is not read"),
        (PROTOBUF, b"\0" * (4 * 1024 * 1024 + 1), 413, "at most 4194304 bytes"),
        ({**PROTOBUF, "Host": "rebound.example"}, b"", 421, "asked under another name"),
    ],
    ids=["garbage", "json", "no gzip", "another encoding", "too long", "another host"],
)
def test_what_cannot_be_used_is_refused_with_its_reason(store, headers, body, status, word):
    answer = store.post("/v1/traces", headers=headers, content=body)
    assert answer.status_code == status
    assert word in answer.content.decode(errors="replace")


HIDDEN = b"GET /health/ready HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


HEADS = (
    "GET /health/ready HTTP/1.1\r\nContent-Length: {length}",
    "GET /health/ready HTTP/1.1\r\nTransfer-Encoding: chunked",
    "GET /health/ready HTTP/1.1\r\nContent-Length: {length}\r\nUpgrade: h2c\r\nConnection: Upgrade",
    "POST /v1/traces HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: {length}",
    "POST /v1/traces HTTP/1.1\r\nContent-Length: 0\r\nTransfer-Encoding: chunked",
    "PUT /v1/traces HTTP/1.1\r\nContent-Length: {length}",
)


def test_no_byte_of_a_body_is_a_request(store):
    for head in HEADS:
        named = f"{head.format(length=len(HIDDEN))}\r\nHost: 127.0.0.1\r\nContent-Type: application/x-protobuf\r\n\r\n"
        with socket.create_connection((store.base_url.host, store.base_url.port), timeout=patient(5)) as connection:
            connection.sendall(named.encode() + HIDDEN)
            said = b""
            while more := _heard(connection):
                said += more
        assert said.count(b"HTTP/1.1 ") == 1, head


def _heard(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65536)
    except ConnectionResetError:  # what came behind was never read
        return b""


def test_a_bomb_of_gzip_does_not_unfold(store):
    bomb = gzip.compress(b"\0" * (64 * 1024 * 1024))
    answer = store.post("/v1/traces", headers={**PROTOBUF, "Content-Encoding": "gzip"}, content=bomb)
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("path", "status"),
    [("/api/traces/0af7651916cd43dd8448eb211c80319c", 404), ("/api/traces?limit=0", 422), ("/api", 404)],
)
def test_what_cannot_be_told_is_refused_with_its_reason(store, path, status):
    answer = store.get(path)
    assert answer.status_code == status
    assert answer.json()["detail"]
    assert store.get("/health/ready").status_code == 200


def test_a_setting_that_is_none_is_named(tmp_path):
    environment = {"TRACES_FILE": str(tmp_path / "traces.db"), "TRACES_KEEP_HOURS": "a while"}
    ended = subprocess.run(
        [sys.executable, "-P", "-m", "traces"], env=environment, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (2, "traces: TRACES_KEEP_HOURS='a while' is not a number\n")


def test_a_store_with_a_key_takes_and_tells_spans_to_nobody_without_it(tmp_path):
    shown = {"authorization": "Bearer a-key"}
    with running(tmp_path, TRACES_KEY="a-key") as store:
        with exporting(str(store.base_url)):
            lost = leave_a_trace("session-a")
        with exporting(str(store.base_url), headers=shown):
            kept = leave_a_trace("session-a")
        for wrong in ({}, {"authorization": "Bearer another"}, {"authorization": "a-key"}):
            refused = store.get("/api/traces", params={"about": "session-a"}, headers=wrong)
            assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
            assert "Authorization: Bearer" in refused.json()["detail"]
        found = store.get("/api/traces", params={"about": "session-a"}, headers=shown).json()["traces"]
        assert [trace["trace_id"] for trace in found] == [kept]
        assert store.get(f"/api/traces/{lost}", headers=shown).status_code == 404
        assert store.get("/health/ready").status_code == 200
