import dataclasses
import os
import signal
import socket
import subprocess
import sys

import asyncpg
import pytest
from embedded.errors import AlreadyRunningError, EndedEarlyError, JetStreamUnavailableError, PortTakenError
from embedded.ports import free_port
from embedded.postgres import Postgres
from embedded.probes import http_ready
from embedded.record import DataDir, Pid
from embedded.secrets import _kept
from embedded.servers import postgres_url
from testkit.nats_accounts import Deaf

from libs.embedded.tests.conftest import STANDINS

pytestmark = pytest.mark.servers


async def query(suite, statement):
    return await Postgres.under(suite._data_dir.path)._psql(suite.record.port_of("postgres"), statement)


@pytest.fixture
def hung():
    """A process that is deaf to SIGTERM, as a service that hangs."""
    with subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]) as process:
        try:
            process.send_signal(signal.SIGSTOP)
            yield Pid.of(process.pid)
        finally:
            process.kill()


async def test_the_gateway_opens_when_the_others_are_ready_and_all_drain_when_it_is_down(run, log):
    async with run() as suite:
        started = log.order({f"{service.name}-1" for service in STANDINS})
        pids = suite.record.pids()
    assert len(started) == len(STANDINS)
    assert set(started[-2:]) == {"signaling_gateway-1", "prober-1"}
    assert all(log.lines[f"{service.name}-1"][-1] == "drained" for service in STANDINS)
    assert [pid for pid in pids if pid.process()] == []
    assert suite.record.pids() == []


async def test_data_and_ports_are_kept_for_the_next_run(run):
    port = free_port()
    async with run(http_port=port) as suite:
        assert suite.record.gateways == [f"http://127.0.0.1:{port}"]
        ports = [server.port for server in suite.record.servers]
        await query(suite, "CREATE TABLE kept AS SELECT 7 AS number")
    async with run() as suite:
        assert [server.port for server in suite.record.servers] == ports
        assert suite.record.gateways == [f"http://127.0.0.1:{port}"]
        assert await query(suite, "SELECT number FROM kept") == "7\n"


async def test_spans_are_kept_in_a_store_of_the_suites_own_unless_they_go_elsewhere(run, log):
    async with run() as suite:
        store = suite.record.url_of("traces")
        assert await http_ready(store)
    assert f"OTLP_ENDPOINT={store}" in log.lines["zone_manager-1"]
    async with run(otlp="http://127.0.0.1:4318") as suite:
        assert suite.record.port_of("traces") is None
    assert "OTLP_ENDPOINT=http://127.0.0.1:4318" in log.lines["zone_manager-1"]


async def test_a_taken_port_is_named_with_its_holder_and_the_remedy(run):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTakenError, match=rf"port {port}, wanted for NATS.*pid {os.getpid()}.*--nats-port"):
            async with run(nats_port=port):
                pass


async def test_a_store_that_jetstream_cannot_use_is_named_with_the_remedy(run, tmp_path):
    (tmp_path / "nats").mkdir()
    (tmp_path / "nats" / "store").touch()
    with pytest.raises(JetStreamUnavailableError, match=rf"{tmp_path}/nats: .*not a directory; make room"):
        async with run():
            pass


async def test_a_service_that_cannot_start_ends_the_suite_with_its_last_words(run, log):
    broken = tuple(
        dataclasses.replace(service, command=(*service.command, "fail")) if service.name == "zone_manager" else service
        for service in STANDINS
    )
    with pytest.raises(EndedEarlyError, match=r"zone_manager-1 ended with status 3 .*did you mean ZONE_MANAGER_X"):
        async with run(services=broken):
            pass
    assert "signaling_gateway-1" not in log.lines


async def test_a_postgres_that_cannot_listen_says_so_last(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(EndedEarlyError, match="could not create any"):
        await Postgres.under(tmp_path).start(taken.getsockname()[1], Deaf())


def test_an_empty_secret_is_made_anew_and_another_kept(tmp_path):
    secret = tmp_path / "jwt"
    secret.write_text("\n")
    made = _kept(secret)
    assert len(made) > 32
    assert _kept(secret) == made


async def test_a_password_that_was_lost_and_made_anew_is_the_servers_too(tmp_path):
    port = free_port()
    for password in ("first", "second"):
        postgres = await Postgres.under(tmp_path, password).start(port, Deaf())
        try:
            connection = await asyncpg.connect(postgres_url(port, "postgres", password))
            await connection.close()
        finally:
            await postgres.stop()


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
    assert "stopped 1 programs that an earlier suite had left behind" in log.lines["p2p"]


async def test_a_process_that_merely_has_a_recorded_number_is_left_alone(run, tmp_path):
    async with run() as suite:
        record = suite.record
    record.processes[0].pid = dataclasses.replace(Pid.of(os.getpid()), ticks=1)
    DataDir(tmp_path).write(record)
    async with run():
        pass
