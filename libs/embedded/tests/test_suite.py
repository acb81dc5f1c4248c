import dataclasses
import os
import signal
import socket
import subprocess
import sys

import psutil
import pytest
from embedded.errors import AlreadyRunningError, EndedEarlyError, PortTakenError
from embedded.ports import free_port
from embedded.postgres import USER, Postgres
from embedded.probes import http_ready, nats_greeting, postgres_ready, redis_ready
from embedded.record import DataDir, Pid
from testkit.eventually import eventually

from libs.embedded.tests.conftest import STANDINS

pytestmark = pytest.mark.servers


@pytest.fixture
def hung():
    """A process that is deaf to SIGTERM, as a service that hangs."""
    with subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]) as process:
        process.send_signal(signal.SIGSTOP)
        yield Pid.of(process.pid)
        process.kill()


async def test_a_service_starts_when_those_it_asks_are_ready(run, log):
    async with run():
        started = log.order({f"{service.name}-1" for service in STANDINS})
    assert set(started[:2]) == {"host_registry-1", "scheduler-1"}
    assert started[2:] == ["zone_manager-1", "session_manager-1", "signaling_gateway-1"]


async def test_all_are_ready_when_it_is_up(run):
    async with run(replicas={"host_registry": 2}) as suite:
        assert [process.name for process in suite.record.processes if process.service == "host_registry"] == [
            "host_registry-1",
            "host_registry-2",
        ]
        assert all([await http_ready(process.http) for process in suite.record.processes])


async def test_a_service_is_told_its_name_and_its_servers(run, log):
    async with run(environment={"COLOUR": "blue"}) as suite:
        postgres = next(server for server in suite.record.servers if server.name == "postgres")
    assert log.lines["zone_manager-1"][:5] == [
        "INSTANCE=zone_manager-1",
        f"NATS_URL={suite.record.url_of('nats')}",
        f"POSTGRES_URL=postgresql://p2p@127.0.0.1:{postgres.port}/zone_manager",
        f"REDIS_URL={suite.record.url_of('redis')}",
        "COLOUR=blue",
    ]


async def test_the_first_gateway_has_the_port_asked_for_and_the_others_free_ones(run):
    port = free_port()
    async with run(http_port=port, replicas={"signaling_gateway": 2}) as suite:
        first, second = suite.record.gateways
    assert first == f"http://127.0.0.1:{port}"
    assert second != first


async def test_a_taken_port_is_named_with_its_holder_and_the_remedy(run):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTakenError, match=rf"port {port}, wanted for NATS.*pid {os.getpid()}.*--nats-port"):
            async with run(nats_port=port):
                pass


async def test_a_killed_service_is_ready_again_on_its_port(run):
    async with run() as suite:
        before = suite.record.pid_of("zone_manager-1")
        http = next(process.http for process in suite.record.processes if process.name == "zone_manager-1")
        os.kill(before, signal.SIGKILL)
        await eventually(lambda: suite.record.pid_of("zone_manager-1") not in {before, None})
        await eventually(lambda: http_ready(http))


@pytest.mark.parametrize("server", ["nats", "postgres", "redis"])
async def test_a_killed_server_is_ready_again_on_its_port(run, server):
    async with run() as suite:
        before = suite.record.pid_of(server)
        port = suite.record.port_of(server)
        os.kill(before, signal.SIGKILL)
        await eventually(lambda: suite.record.pid_of(server) not in {before, None})
        probe = {"nats": nats_greeting, "postgres": lambda port: postgres_ready(port, USER), "redis": redis_ready}[
            server
        ]
        await eventually(lambda: probe(port))


async def _databases(suite):
    cluster = Postgres.under(suite._data_dir.path)
    return await cluster._psql(suite.record.port_of("postgres"), "SELECT datname FROM pg_database")


async def test_each_service_has_a_database_of_its_own_that_is_kept(run):
    async with run() as suite:
        cluster = Postgres.under(suite._data_dir.path)
        port = suite.record.port_of("postgres")
        assert {service.name for service in STANDINS} <= set((await _databases(suite)).split())
        await cluster._psql(port, "CREATE TABLE kept AS SELECT 7 AS number")
    async with run() as suite:
        assert await cluster._psql(port, "SELECT number FROM kept") == "7\n"


async def test_ports_are_the_same_in_the_next_run(run):
    async with run() as suite:
        ports = [server.port for server in suite.record.servers]
    async with run() as suite:
        assert [server.port for server in suite.record.servers] == ports


async def test_a_service_that_cannot_start_ends_the_suite_with_its_last_words(run, log):
    broken = tuple(
        dataclasses.replace(service, command=(*service.command, "fail")) if service.name == "zone_manager" else service
        for service in STANDINS
    )
    with pytest.raises(EndedEarlyError, match=r"zone_manager-1 ended with status 3 .*did you mean ZONE_MANAGER_X"):
        async with run(services=broken):
            pass
    assert log.lines["host_registry-1"][-1] == "drained"
    assert "signaling_gateway-1" not in log.lines


async def test_everything_is_gone_when_it_is_down(run, log):
    async with run() as suite:
        pids = suite.record.pids()
    assert [pid for pid in pids if pid.process()] == []
    assert suite.record.pids() == []
    assert all(log.lines[f"{service.name}-1"][-1] == "drained" for service in STANDINS)


async def test_a_second_suite_on_the_same_data_is_refused(run, tmp_path):
    async with run():
        with pytest.raises(AlreadyRunningError, match=rf"already runs on {tmp_path}.*p2p status.*p2p down"):
            async with run():
                pass


async def test_what_a_killed_supervisor_left_is_stopped_by_the_next(run, log, tmp_path, hung):
    async with run() as suite:
        record = suite.record
    record.processes[0].pid = hung
    DataDir(tmp_path).write(record)
    async with run():
        assert hung.process() is None
    assert log.lines["p2p"] == ["stopped 1 programs that an earlier suite had left behind"]


async def test_a_process_that_merely_has_a_recorded_number_is_left_alone(run, tmp_path):
    async with run() as suite:
        record = suite.record
    record.processes[0].pid = dataclasses.replace(Pid.of(os.getpid()), born=psutil.boot_time())
    DataDir(tmp_path).write(record)
    async with run():
        pass
