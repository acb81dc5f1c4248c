"""One host of the demo: this machine, registered, with the chat for a game."""

import asyncio
import os
import platform
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from contracts.hosts import RegisterHost
from sdk import AgentEvent, HostAgent, OnClose, ServerKey

from cli.chat import Chat
from cli.ending import beside

CLAIMED_MBPS = 1000
"""Nobody has measured it; zones ask for 100."""


def this_machine(number: int | None = None) -> RegisterHost:
    """Give what to register; `number` tells several hosts on one machine apart."""
    name = platform.node() or "this-machine"
    suffix = "" if number is None else f"-{number}"
    return RegisterHost(
        host_id=f"demo-{name}{suffix}",
        player_id=f"demo-{name}{suffix}",
        player_name=f"Demo{'' if number is None else f' {number}'} on {name}",
        cpu_cores=os.cpu_count() or 1,
        memory_mb=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // (1024 * 1024),
        network_speed_mbps=CLAIMED_MBPS,
    )


@asynccontextmanager
async def hosting(
    gateway: str,
    machine: RegisterHost,
    key: ServerKey | None,
    say: Callable[[str], None],
    tell: Callable[[AgentEvent], None] = lambda _: None,
) -> AsyncIterator[HostAgent]:
    """Host the chat until the block ends; players can reach the host when it begins."""
    chat = Chat(machine.host_id, say)

    def on_event(event: AgentEvent) -> None:
        chat.on_event(event)
        tell(event)

    agent = HostAgent(
        gateway,
        machine,
        on_message=chat.on_message,
        on_event=on_event,
        credentials=key,
        # A demo that is over should not stay in the list of hosts.
        on_close=OnClose.UNREGISTER,
    )
    try:
        async with agent, beside(chat.tell(agent)):
            yield agent
    except asyncio.CancelledError:
        say("closed; the coordinator has forgotten this host" if agent.took_leave else "closed")
        raise
