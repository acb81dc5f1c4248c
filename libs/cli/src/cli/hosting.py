"""The demo's host: this machine, registered, with a chat for a game, until Ctrl-C."""

import asyncio
import os
import platform
import signal
import sys
from datetime import datetime
from urllib.parse import urlencode

from contracts.hosts import RegisterHost
from sdk import HostAgent, OnClose, P2pError, UnreachableError

from cli.chat import Chat

CLAIMED_MBPS = 1000
"""Nobody has measured it; zones ask for 100."""


def host_chat(gateway: str, zone: str) -> None:
    """Serve until Ctrl-C or SIGTERM; what goes wrong for good ends the program with the reason."""
    try:
        asyncio.run(_host(gateway, zone))
    except UnreachableError as error:
        sys.exit(f"error: {error}; is the suite running? `p2p up` starts it")
    except P2pError as error:
        sys.exit(f"error: {error}")


async def _host(gateway: str, zone: str) -> None:
    _cancel_on_signals()
    machine = _this_machine()
    chat = Chat(machine.host_id, _say)
    # A demo that is over should not stay in the list of hosts.
    agent = HostAgent(gateway, machine, on_message=chat.on_message, on_event=chat.on_event, on_close=OnClose.UNREGISTER)
    try:
        async with agent:
            print(f"\n  open        {gateway}/demo/?{urlencode({'zone': zone})}\n  stop        Ctrl-C\n", flush=True)
            telling = asyncio.create_task(chat.tell(agent))
            try:
                await agent.until_stopped()
            finally:
                telling.cancel()
    except asyncio.CancelledError:
        _say("closed; the coordinator has forgotten this host")


def _cancel_on_signals() -> None:
    """Let Ctrl-C and SIGTERM cancel the caller, once: a second one must not cut the farewell short."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None  # noqa: S101  called from a coroutine

    def interrupt() -> None:
        if not task.cancelling():
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt)


def _this_machine() -> RegisterHost:
    name = platform.node() or "this-machine"
    return RegisterHost(
        host_id=f"demo-{name}",
        player_id=f"demo-{name}",
        player_name=f"Demo on {name}",
        cpu_cores=os.cpu_count() or 1,
        memory_mb=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // (1024 * 1024),
        network_speed_mbps=CLAIMED_MBPS,
    )


def _say(words: str) -> None:
    print(f"{datetime.now().astimezone():%H:%M:%S}  {words}", flush=True)
