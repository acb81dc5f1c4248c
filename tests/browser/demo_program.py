"""`p2p demo` as somebody has it in a terminal: its link, and what it says."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from testkit.patience import within
from testkit.suites import RunningSuite


class DemoProgram:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.link = ""
        """Of the page."""
        self.pids: dict[str, int] = {}
        """Of its hosts, as far as its lines were read; of one that was started again, the newer."""

    async def says(self, words: str) -> str:
        """Read on until a line has these; give it."""
        assert self._process.stdout
        async with within(30):
            while True:
                line = (await self._process.stdout.readline()).decode()
                assert line, f"the demo ended, and never said: {words}"
                if started := re.search(r"(\S+): starting, process (\d+)", line):
                    self.pids[started[1]] = int(started[2])
                if words in line:
                    return line


@asynccontextmanager
async def running_demo(suite: RunningSuite, *options: str) -> AsyncIterator[DemoProgram]:
    """Run it until the block ends, in which it has to leave nothing behind."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "cli", "demo", "--data-dir", str(suite.data_dir), *options),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    demo = DemoProgram(process)
    try:
        demo.link = (await demo.says(" open ")).split()[1]
        yield demo
        process.send_signal(signal.SIGTERM)
        rest, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
    assert "forgotten this host" in rest.decode()
