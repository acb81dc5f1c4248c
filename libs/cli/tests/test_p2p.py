"""The command as a person or a script uses it, with stand-ins for the services."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from embedded.catalogue import SERVICES
from embedded.ports import free_port

pytestmark = pytest.mark.servers

STANDIN = Path(__file__).parents[2] / "embedded" / "tests" / "standin.py"


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """One in which `python -m host_registry` and the others run the stand-in."""
    directory = tmp_path_factory.mktemp("standins")
    for service in SERVICES:
        (directory / service.name).mkdir()
        (directory / service.name / "__main__.py").write_text(STANDIN.read_text())
        (directory / service.name / "__init__.py").touch()
    return {**os.environ, "PYTHONPATH": str(directory)}


@pytest.fixture
def p2p(environment, tmp_path):
    """Run `p2p …` on a data directory of the test's own, and stop what it left running."""

    def run(subcommand, *arguments):
        return subprocess.run(
            [sys.executable, "-m", "cli", subcommand, "--data-dir", tmp_path / "data", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            cwd=tmp_path,
            check=False,
        )

    yield run
    run("down")


def status(p2p):
    return json.loads(p2p("status", "--json").stdout)


def alive(seen):
    """Which of the programs in a status still run; one that waits for its parent to notice its end does not."""
    pids = [one["pid"] for one in (*seen["processes"], *seen["servers"])]
    return [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]


def test_up_detached_returns_when_all_are_ready_and_lets_go_of_our_pipes(p2p):
    # subprocess.run returns at the end of both pipes: a suite that held one would keep it for a minute.
    up = p2p("up", "--detach", "--http-port", "0")
    assert up.returncode == 0, up.stderr
    assert "/docs" in up.stdout
    assert all(process["ready"] for process in status(p2p)["processes"])


def test_status_tells_programs_where_everything_is(p2p):
    port = free_port()
    p2p("up", "--detach", "--http-port", str(port), "--replicas", "signaling_gateway=2", "--nats-port", "0")
    seen = status(p2p)
    assert seen["gateways"][0] == f"http://127.0.0.1:{port}"
    assert len(seen["gateways"]) == 2
    assert [seen[name].partition(":")[0] for name in ("nats", "postgres", "redis")] == ["nats", "postgresql", "redis"]
    assert {process["service"] for process in seen["processes"]} == {service.name for service in SERVICES}
    assert [process["instance"] for process in seen["processes"]][-1] == "signaling_gateway-2"
    assert all(psutil.pid_exists(process["pid"]) for process in seen["processes"])


def test_status_shows_the_present_pid_after_a_restart(p2p):
    p2p("up", "--detach", "--http-port", "0")
    before = next(one for one in status(p2p)["processes"] if one["service"] == "scheduler")
    os.kill(before["pid"], signal.SIGKILL)
    deadline = time.monotonic() + 5
    while True:
        after = next(one for one in status(p2p)["processes"] if one["service"] == "scheduler")
        if after["ready"] and after["pid"] != before["pid"]:
            break
        assert time.monotonic() < deadline, after
    assert after["http"] == before["http"]


def test_up_twice_says_that_one_runs_already(p2p):
    p2p("up", "--detach", "--http-port", "0")
    again = p2p("up", "--detach", "--http-port", "0")
    assert again.returncode != 0
    assert "already runs" in again.stderr.splitlines()[-1]
    assert all(process["ready"] for process in status(p2p)["processes"])


def test_a_taken_port_is_the_last_line_of_a_failed_detach(p2p):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        up = p2p("up", "--detach", "--http-port", str(port))
    assert up.returncode != 0
    assert up.stderr.splitlines()[-1].startswith(f"error: port {port}, wanted for the gateway, is taken by")


def test_down_stops_every_process_and_status_says_so(p2p):
    p2p("up", "--detach", "--http-port", "0")
    seen = status(p2p)
    assert p2p("down").returncode == 0
    assert alive(seen) == []
    after = p2p("status", "--json")
    assert after.returncode != 0
    assert json.loads(after.stdout)["processes"] == []


def test_down_is_content_when_nothing_runs(p2p):
    down = p2p("down")
    assert down.returncode == 0
    assert "nothing runs" in down.stdout


def test_a_killed_supervisor_takes_everything_with_it_and_up_works_again(p2p, tmp_path):
    p2p("up", "--detach", "--http-port", "0")
    seen = status(p2p)
    record = json.loads((tmp_path / "data" / "suite.json").read_text())
    os.kill(record["supervisor"]["pid"], signal.SIGKILL)
    up = p2p("up", "--detach", "--http-port", "0")
    assert up.returncode == 0, up.stderr
    assert alive(seen) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_stops_a_suite_in_the_foreground(environment, tmp_path, number):
    with subprocess.Popen(
        [sys.executable, "-m", "cli", "up", "--data-dir", tmp_path, "--http-port", "0"],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    ) as up:
        lines = []
        for line in up.stdout or ():
            lines.append(line)
            if "stop  " in line:
                up.send_signal(number)
    assert up.returncode == 0
    assert "signaling_gateway-1  | drained\n" in lines
    assert lines[-1].endswith("| stopped\n")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--replicas", "host-registri=2"), "did you mean host_registry?"),
        (("--replicas", "scheduler=none"), "write scheduler=N"),
        (("--replicas", "scheduler=0"), "write scheduler=N"),
        (("--http-port", "70000"), "65535"),
    ],
)
def test_a_slip_of_the_finger_is_explained(p2p, words, reason):
    up = p2p("up", *words)
    assert up.returncode == 2
    assert reason in up.stderr.splitlines()[-1]
