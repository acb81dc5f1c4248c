"""The command as a person or a script uses it, with stand-ins for the services."""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from embedded.catalogue import SERVICES
from embedded.ports import free_port
from testkit.eventually import eventually
from testkit.patience import patient

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


class P2p:
    """Runs `p2p …` on one data directory."""

    port: int
    result: subprocess.CompletedProcess[str]

    def __init__(self, data_dir, environment, directory=None):
        self.data_dir = data_dir
        self._directory = directory or data_dir.parent
        self._environment = environment

    def __call__(self, subcommand, *arguments):
        return subprocess.run(
            [sys.executable, "-m", "cli", subcommand, "--data-dir", self.data_dir, *arguments],
            env=self._environment,
            cwd=self._directory,
            capture_output=True,
            text=True,
            timeout=patient(60),
            check=False,
        )

    def status(self):
        return json.loads(self("status", "--json").stdout)


@pytest.fixture
def p2p(environment, tmp_path):
    """On an empty data directory; what a test leaves running is stopped."""
    command = P2p(tmp_path / "data", environment)
    yield command
    if command.data_dir.exists():
        command("down")


@pytest.fixture(scope="module")
def up(environment, tmp_path_factory):
    """The same with a suite running on it, shared by tests that leave it running."""
    command = P2p(tmp_path_factory.mktemp("shared") / "donnés 한글 🎮", environment)
    port = free_port()
    # subprocess.run returns at the end of both pipes: a suite that held one would keep it waiting for a minute.
    command.result = command("up", "--detach", "--http-port", str(port), "--replicas", "signaling_gateway=2")
    command.port = port
    yield command
    command("down")


def alive(seen):
    """Which of the programs in a status still run; one that waits for its parent to notice its end does not."""
    pids = [one["pid"] for one in (*seen["processes"], *seen["servers"])]
    return [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]


def test_up_detached_returns_when_all_are_ready(up):
    assert up.result.returncode == 0, up.result.stderr
    assert f"http://127.0.0.1:{up.port}/docs" in up.result.stdout
    assert all(process["ready"] for process in up.status()["processes"])


def test_what_is_to_be_copied_stands_alone_in_its_line_and_the_rest_fits_a_narrow_terminal(up):
    words = [line[len("  PostgreSQL  ") :] for line in up.result.stdout.splitlines()]
    copied = [line for line in words if str(up.data_dir) in line]
    assert all(line.startswith(("/", "'/")) or shlex.split(line)[0].endswith("p2p") for line in copied)
    assert {shlex.split(line)[1] for line in copied if "--data-dir" in line} == {"demo", "logs", "down"}
    assert max(len(line) for line in up.result.stdout.splitlines() if str(up.data_dir) not in line) <= 60


def test_status_tells_programs_where_everything_is(up):
    seen = up.status()
    assert seen["gateways"][0] == f"http://127.0.0.1:{up.port}"
    assert len(seen["gateways"]) == 2
    assert [seen[name].partition(":")[0] for name in ("nats", "postgres", "redis")] == ["nats", "postgresql", "redis"]
    assert {process["service"] for process in seen["processes"]} == {service.name for service in SERVICES}
    assert [process["instance"] for process in seen["processes"]][-1] == "signaling_gateway-2"
    assert len(alive(seen)) == len(SERVICES) + 1 + 4


def test_status_tells_people_too(up):
    shown = up("status").stdout
    assert f"http://127.0.0.1:{up.port}" in shown
    assert "signaling_gateway-2" in shown


async def test_status_shows_the_present_pid_after_a_restart(up):
    def scheduler():
        return next(one for one in up.status()["processes"] if one["service"] == "scheduler")

    before = scheduler()
    os.kill(before["pid"], signal.SIGKILL)

    def another():
        after = scheduler()
        return after if after["ready"] and after["pid"] != before["pid"] else None

    assert (await eventually(another, of="another scheduler"))["http"] == before["http"]


def test_up_twice_says_that_one_runs_already(up):
    again = up("up", "--detach", "--http-port", "0")
    assert again.returncode != 0
    assert "already runs" in again.stderr.splitlines()[-1]
    assert len(alive(up.status())) == len(SERVICES) + 1 + 4


def test_a_taken_port_is_the_last_line_of_a_failed_detach(p2p):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        up = p2p("up", "--detach", "--http-port", str(port))
    assert up.returncode != 0
    assert up.stderr.splitlines()[-1].startswith(f"error: port {port}, wanted for the gateway, is taken by")


def test_down_is_content_when_nothing_runs(p2p):
    down = p2p("down")
    assert down.returncode == 0
    assert "nothing runs" in down.stdout


def test_a_killed_supervisor_takes_everything_with_it_and_up_works_again(p2p):
    p2p("up", "--detach", "--http-port", "0")
    first = p2p.status()
    record = json.loads((p2p.data_dir / "suite.json").read_text())
    os.kill(record["supervisor"]["pid"], signal.SIGKILL)
    assert p2p("up", "--detach", "--http-port", "0").returncode == 0
    assert alive(first) == []
    second = p2p.status()
    (p2p.data_dir / "suite.json").write_text('{"supervisor": ')
    looked = p2p("status")
    assert looked.returncode == 1
    assert "a suite runs on" in looked.stderr
    assert "already runs" in p2p("up", "--detach").stderr
    down = p2p("down")
    assert (down.returncode, down.stdout.split()[0]) == (0, "stopped")
    assert alive(second) == []
    after = p2p("status", "--json")
    assert after.returncode != 0
    assert json.loads(after.stdout)["processes"] == []


@pytest.fixture
def foreground(environment, tmp_path):
    """`p2p up …` with its output in a pipe; killed if the test leaves it running."""
    begun = []

    def start(*options):
        begun.append(
            subprocess.Popen(
                [sys.executable, "-m", "cli", "up", "--data-dir", tmp_path / "data", "--http-port", "0", *options],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                cwd=tmp_path,
            )
        )
        return begun[-1]

    yield start
    for up in begun:
        up.terminate()
        up.communicate(timeout=patient(30))


def until(up, words):
    lines = []
    for line in up.stdout:
        lines.append(line)
        if words in line:
            return lines
    raise AssertionError("".join(lines))


def test_ctrl_c_stops_a_suite_in_the_foreground(foreground):
    up = foreground("--logs")
    lines = until(up, "stop  ")
    up.send_signal(signal.SIGINT)
    lines += up.stdout.readlines()
    assert up.wait() == 0
    assert "signaling_gateway-1  | drained\n" in lines
    assert lines[-1].endswith("| stopped\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
async def test_a_suite_whose_reader_has_gone_revives_its_services_and_stops_in_order(foreground, p2p, number):
    """As `p2p up | tee log` after Ctrl-C, `p2p up | head`, and a terminal that was closed."""
    up = foreground()
    lines = until(up, "stop  ")
    assert not any("INSTANCE=" in line for line in lines), "only what matters is shown"
    up.stdout.close()
    before = p2p.status()["processes"][0]["pid"]
    os.kill(before, signal.SIGKILL)
    await eventually(lambda: p2p.status()["processes"][0]["pid"] not in {None, before})
    await eventually(lambda: all(process["ready"] for process in p2p.status()["processes"]))
    running = p2p.status()
    up.send_signal(number)
    assert up.stderr.read() == ""
    assert up.wait() == 0
    assert alive(running) == []
    log = (p2p.data_dir / "suite.log").read_text()
    assert "signaling_gateway-1  | drained\n" in log
    assert "p2p                  | host_registry-1 was killed by SIGKILL; started again at once\n" in log


@pytest.mark.parametrize("words", [("up",), ("up", "--detach"), ("status",), ("down",), ("demo",)])
def test_a_data_directory_below_a_file_is_one_line(environment, tmp_path, words):
    (tmp_path / "file").touch()
    said = P2p(tmp_path / "file" / "data", {**environment, "HOME": str(tmp_path)}, tmp_path)(*words)
    assert len([*said.stdout.splitlines(), *said.stderr.splitlines()]) == 1
    assert str(tmp_path / "file" / "data") in said.stdout + said.stderr
    assert (said.returncode == 0) == (words == ("down",))


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--replicas", "host-registri=2"), "did you mean host_registry?"),
        (("--replicas", "scheduler=none"), "write scheduler=N"),
        (("--replicas", "scheduler=0"), "write scheduler=N"),
        (("--http-port", "70000"), "65535"),
        (("--http-host", "my-machine"), "is not an address such as"),
        (("--http-host", "192.0.2.7"), "anybody who reaches 192.0.2.7 may do anything; add --mode enforced"),
    ],
)
def test_a_slip_of_the_finger_is_explained(p2p, words, reason):
    up = p2p("up", *words)
    assert up.returncode == 2
    assert reason in up.stderr.splitlines()[-1]


def test_a_suite_that_sends_its_spans_elsewhere_says_so_and_keeps_none(p2p):
    elsewhere = "http://127.0.0.1:4318"
    started = p2p("up", "--detach", "--http-port", "0", "--otlp", elsewhere)
    assert started.returncode == 0, started.stderr
    assert f"OTLP_ENDPOINT={elsewhere}" in (p2p.data_dir / "suite.log").read_text()
    refused = p2p("trace", "session-1")
    assert refused.returncode == 1
    assert "started with --otlp" in refused.stderr


def test_an_address_for_spans_that_is_none_is_refused(p2p):
    refused = p2p("up", "--otlp", "localhost:4318")
    assert refused.returncode == 2
    assert "is not a URL such as http://127.0.0.1:4318" in refused.stderr


def test_the_spans_of_an_enforced_suite_are_for_who_has_its_key(p2p):
    started = p2p("up", "--detach", "--http-port", "0", "--mode", "enforced")
    assert started.returncode == 0, started.stderr
    store, key = p2p.status()["traces"], (p2p.data_dir / "secrets" / "traces").read_text()
    assert f"OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20{key}" in (p2p.data_dir / "suite.log").read_text()

    stranger = p2p("trace", "session-1", "--traces", store)
    assert stranger.returncode == 1
    assert "set TRACES_KEY, or give --key" in stranger.stderr
    for knowing in (("--traces", store, "--key", key), ()):
        told = p2p("trace", "session-1", *knowing)
        assert "no trace that speaks of 'session-1' is kept" in told.stderr
