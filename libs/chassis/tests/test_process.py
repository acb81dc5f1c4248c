"""The life of a real process, ended by real signals."""

import json
import os
import re
import signal
import sys
from asyncio import subprocess
from contextlib import asynccontextmanager
from datetime import datetime

import pytest
from testkit.patience import within

PROGRAM = """
import asyncio, gc, os, structlog
from contextlib import asynccontextmanager
from pydantic_settings import SettingsConfigDict
from chassis import tracing
from chassis.process import run
from chassis.sampling import Sampling
from chassis.settings import ServiceSettings

class Settings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="SAMPLE_")
    way: str = "well"
    number: int = 1

@asynccontextmanager
async def service(settings):
    if settings.way == "never starts":
        await asyncio.Event().wait()
    print("PG variables", [name for name in os.environ if name.startswith("PG")], flush=True)
    with tracing.root("work"):
        pass
    with tracing.edge(Sampling({}), "beat", "POST /beat"):
        structlog.stdlib.get_logger().info("beat.stored", host_id="a")
    if settings.way == "breaks":
        raise KeyError("broken")
    try:
        yield
    finally:
        if settings.way == "hangs":
            await asyncio.Event().wait()
        print("frozen", gc.get_freeze_count(), flush=True)
        print("drained", flush=True)

run(service, Settings)
"""


@asynccontextmanager
async def process(**variables: str):
    program = await subprocess.create_subprocess_exec(
        sys.executable,
        "-c",
        PROGRAM,
        env={"PATH": os.environ["PATH"], "LOG_FORMAT": "json", **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        yield program
    finally:
        if program.returncode is None:
            program.kill()
            await program.wait()


async def said(program: subprocess.Process, words: str) -> str:
    assert program.stdout is not None
    async for line in program.stdout:
        if words in line.decode():
            return line.decode()
    raise AssertionError(f"it ended without saying {words!r}")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_a_signal_drains_the_process_and_ends_it_with_0(number):
    async with process() as program:
        await said(program, "service.started")
        program.send_signal(number)
        await said(program, "drained")
        await said(program, "service.stopped")
        assert await program.wait() == 0


async def test_a_process_told_to_stop_while_it_starts_ends_at_once():
    async with process(SAMPLE_WAY="never starts", LOG_LEVEL="DEBUG") as program:
        await said(program, "service.starting")
        program.terminate()
        assert await program.wait() == 0


async def test_no_collection_looks_through_what_a_service_is_made_of():
    async with process() as program:
        await said(program, "service.started")
        program.terminate()
        assert int((await said(program, "frozen")).split()[1]) > 10_000


async def test_a_drain_that_hangs_is_ended_with_1():
    async with process(SAMPLE_WAY="hangs", DRAIN_SECONDS="0.1") as program:
        await said(program, "service.started")
        program.terminate()
        await said(program, "service.drain_took_too_long")
        assert await program.wait() == 1


async def test_a_defect_at_the_start_is_logged_and_ends_with_1():
    async with process(SAMPLE_WAY="breaks") as program:
        await said(program, "KeyError")
        assert await program.wait() == 1


async def test_a_bad_setting_is_one_clear_line_and_ends_with_2():
    async with process(SAMPLE_NUMBER="many") as program:
        out, err = await program.communicate()
        assert program.returncode == 2
        assert out == b""
        (line,) = err.decode().splitlines()
        assert line.startswith("sample: ")
        assert "valid integer" in line


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ({"LOG_LEVEL": "trace"}, "LOG_LEVEL: 'trace' is no level; choose one of DEBUG, INFO, WARNING, ERROR, CRITICAL"),
        ({"REDIS_PASSWORD_FILE": "/nowhere"}, ""),
        ({"POSTGRES_PASSWORD_FILE": "/nowhere"}, "POSTGRES_PASSWORD_FILE: /nowhere cannot be read: No such file"),
    ],
)
async def test_what_cannot_be_used_is_one_line(variable, said):
    async with process(SAMPLE_WAY="breaks", **variable) as program:
        _, err = await program.communicate()
    assert (program.returncode == 2) == bool(said)
    assert err.decode().startswith(f"sample: {said}" if said else "")
    assert len(err.splitlines()) <= 1


async def test_variables_for_the_users_psql_are_none_of_ours():
    async with process(PGSSLMODE="verify-full", PGTARGETSESSIONATTRS="standby") as program:
        assert await said(program, "PG variables") == "PG variables []\n"


async def test_a_misspelt_setting_names_the_nearest():
    async with process(SAMPLE_NUMBR="3") as program:
        _, err = await program.communicate()
        assert err.decode() == "sample: SAMPLE_NUMBR is no setting; did you mean SAMPLE_NUMBER?\n"


async def test_a_receiver_of_traces_that_is_away_holds_up_no_end(unused_tcp_port):
    async with process(OTLP_ENDPOINT=f"http://127.0.0.1:{unused_tcp_port}") as program:
        await said(program, "service.started")
        program.terminate()
        async with within(5):
            assert await program.wait() == 0


async def test_a_log_line_is_json_and_names_its_process_and_its_trace():
    async with process(INSTANCE="one") as program:
        line = json.loads(await said(program, "beat.stored"))
    assert re.fullmatch("[0-9a-f]{32}", line.pop("trace_id"))
    assert datetime.fromisoformat(line.pop("timestamp")).tzinfo is not None
    assert line == {"event": "beat.stored", "host_id": "a", "level": "info", "service": "sample", "instance": "one"}


async def test_lines_below_the_level_are_not_written():
    async with process(LOG_LEVEL="ERROR", SAMPLE_WAY="breaks") as program:
        out, _ = await program.communicate()
    assert b"beat.stored" not in out
    assert b"service.died" in out
