"""One of several demo hosts, in a process of its own: `python -m cli.host_process TASK`, started by `p2p demo --hosts`.

A HostTask comes as its argument, Lines go out on standard output. SIGTERM ends it.
"""

import asyncio
import os
import sys

from contracts.hosts import RegisterHost
from contracts.subjects import Message
from sdk import AgentEvent, P2pError, PlayerConnected, PlayerGone, ServerKey

from cli.demo_host import hosting
from cli.ending import cancel_on_signals
from cli.outlet import Outlet, output

KEY_VARIABLE = "P2P_KEY"
"""A server's key, where the gateway asks who calls."""


class HostTask(Message):
    """What is to be hosted, and at which gateway."""

    gateway: str
    machine: RegisterHost


class Line(Message):
    """Something happened; one of these is set."""

    words: str | None = None
    """For people."""
    reachable: bool = False
    """Players can reach the host."""
    connected: str | None = None
    """A player who plays here now."""
    gone: str | None = None
    """A player who no longer does."""


class Reporter:
    """Tells the demo what happens, a line each."""

    def __init__(self, out: Outlet) -> None:
        self._out = out

    def say(self, words: str) -> None:
        self.report(Line(words=words))

    def hear(self, event: AgentEvent) -> None:
        match event:
            case PlayerConnected():
                self.report(Line(connected=event.player_id))
            case PlayerGone():
                self.report(Line(gone=event.player_id))

    def report(self, line: Line) -> None:
        self._out(line.model_dump_json(exclude_defaults=True))


async def _host(task: HostTask, reporter: Reporter) -> None:
    cancel_on_signals()
    key = os.environ.get(KEY_VARIABLE)
    credentials = ServerKey(key) if key else None
    try:
        async with hosting(task.gateway, task.machine, credentials, reporter.say, reporter.hear) as agent:
            reporter.report(Line(reachable=True))
            await agent.until_stopped()
    except asyncio.CancelledError:
        return  # asked to end


def main() -> None:
    out = Outlet(output())
    try:
        asyncio.run(_host(HostTask.model_validate_json(sys.argv[1]), Reporter(out)))
    except P2pError as error:
        sys.exit(str(error))
    finally:
        out.close()


if __name__ == "__main__":
    main()
