"""A process takes all the descriptors it is let, and says when they run out; silence takes none for long."""

import asyncio
import os
import sys
from asyncio import subprocess

from testkit.clients import http_client
from testkit.eventually import eventually

SOFT, HARD = 40, 128

PROGRAM = f"""
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, ({SOFT}, {HARD}))
from contextlib import asynccontextmanager
from pydantic_settings import SettingsConfigDict
from chassis.health import serve_health
from chassis.process import run
from chassis.settings import ServiceSettings

class Settings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="SAMPLE_")

@asynccontextmanager
async def service(settings):
    async with serve_health("127.0.0.1", settings.http_port) as health:
        with health.serving():
            yield

run(service, Settings)
"""


async def test_running_out_is_said_and_is_over_when_the_silent_are_gone(unused_tcp_port):
    program = await subprocess.create_subprocess_exec(
        sys.executable,
        "-c",
        PROGRAM,
        env={"PATH": os.environ["PATH"], "HTTP_PORT": str(unused_tcp_port)},
        stdout=subprocess.PIPE,
    )
    assert program.stdout is not None
    silent = []
    try:
        async for line in program.stdout:
            if b"service.started" in line:
                break
        async with http_client(base_url=f"http://127.0.0.1:{unused_tcp_port}") as client:
            ready = (await client.get("/health/ready")).json()
            assert ready["away"] == []
            silent += [await asyncio.open_connection("127.0.0.1", unused_tcp_port) for _ in range(HARD)]
            async for line in program.stdout:
                if b"descriptors.running_out" in line:
                    assert f'"limit": {HARD}'.encode() in line
                    break
            assert (await client.get("/health/ready")).json()["away"] == ["descriptors"]

            async def ready_again():
                return (await client.get("/health/ready")).status_code == 200

            await eventually(ready_again, within=20)
            assert all([await reader.read() == b"" for reader, _ in silent])
    finally:
        for _, writer in silent:
            writer.close()
        program.terminate()
        await program.communicate()
