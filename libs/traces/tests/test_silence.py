"""Connections that say nothing, or never end what they began, are closed; so many that files run out are said."""

import resource
import socket
import subprocess
import sys

import pytest
from testkit.patience import patient
from traces import receiver
from traces.receiver import receiving

FEW = 30


@pytest.mark.parametrize("said", [b"", b"G", b"GET /health/ready HTTP/1.1\r\nHost: 127"])
def test_who_falls_silent_is_closed(monkeypatch, said):
    assert receiver.IDLE_S <= 75
    monkeypatch.setattr(receiver._Handler, "timeout", 0.05)
    with receiving(lambda _: None, {}) as port, socket.create_connection(("127.0.0.1", port)) as silent:
        silent.sendall(said)
        silent.settimeout(patient(10))
        assert silent.recv(1) == b""


def begun(port):
    """A connection that nobody need have accepted."""
    connection = socket.socket()
    connection.setblocking(False)
    connection.connect_ex(("127.0.0.1", port))
    return connection


def test_running_out_of_files_is_said(tmp_path):
    limited = f"ulimit -Sn {FEW // 2}; ulimit -Hn {FEW}; exec {sys.executable} -P -m traces"
    process = subprocess.Popen(
        ["sh", "-c", limited],
        env={"TRACES_FILE": str(tmp_path / "traces.db"), "TRACES_PORT": "0"},
        stdout=subprocess.PIPE,
        text=True,
    )
    silent = []
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline().rpartition(":")[2])
        silent = [begun(port) for _ in range(FEW)]
        assert process.stdout.readline() == "error: no file descriptor is left for another connection\n"
        assert resource.prlimit(process.pid, resource.RLIMIT_NOFILE) == (FEW, FEW)
    finally:
        for connection in silent:
            connection.close()
        process.terminate()
        process.communicate()
    assert process.returncode == 0
