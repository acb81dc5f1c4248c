"""The demo's host: this machine, registered, with a chat for a game and NPCs about, until Ctrl-C."""

import asyncio
import os
import platform
import secrets
import sys
from collections.abc import Callable
from datetime import datetime
from urllib.parse import urlencode

from contracts.hosts import RegisterHost
from embedded.hints import p2p
from sdk import HostAgent, NotAllowedError, OnClose, P2pError, ServerKey, UnreachableError

from cli.chat import Chat
from cli.demo_key import key_for, player_token
from cli.ending import cancel_on_signals
from cli.entrance import Entrance
from cli.npcs import live_in
from cli.outlet import Outlet, output

CLAIMED_MBPS = 1000
"""Nobody has measured it; zones ask for 100."""

FAREWELL_S = 2.0
"""The NPCs leave in milliseconds, unless NATS is away; then the zone forgets them by itself."""


def host_chat(gateway: str, zone: str, nats: Entrance | None, key: str | None) -> None:
    """Serve until Ctrl-C or SIGTERM; what goes wrong for good ends the program with the reason.

    NPCs live in the zone where `nats`, the suite's, is given. Where the gateway asks who calls, `key` is a server's, or
    one is made over `nats`.
    """
    out = Outlet(output())
    try:
        asyncio.run(_demo(gateway, zone, nats, key, out))
    except UnreachableError as error:
        sys.exit(f"error: {error}; is the suite running? `{p2p('up')}` starts it")
    except NotAllowedError as error:
        sys.exit(f"error: {error} (for this command: --key)")
    except P2pError as error:
        sys.exit(f"error: {error}")
    finally:
        out.close()


async def _demo(gateway: str, zone: str, nats: Entrance | None, key: str | None, out: Outlet) -> None:
    say = _saying(out)
    cancel_on_signals()
    async with key_for(nats, key, say) as server_key:
        machine = _this_machine()
        chat = Chat(machine.host_id, say)
        agent = HostAgent(
            gateway,
            machine,
            on_message=chat.on_message,
            on_event=chat.on_event,
            credentials=server_key,
            # A demo that is over should not stay in the list of hosts.
            on_close=OnClose.UNREGISTER,
        )
        try:
            page = await _page(gateway, zone, server_key)
            async with agent:
                out(f"\n  open        {page}\n  stop        Ctrl-C\n")
                await _play(agent, chat, zone, nats, say)
        except asyncio.CancelledError:
            say("closed; the coordinator has forgotten this host" if agent.took_leave else "closed")


async def _play(agent: HostAgent, chat: Chat, zone: str, nats: Entrance | None, say: Callable[[str], None]) -> None:
    working = [asyncio.create_task(chat.tell(agent))]
    if nats:
        working.append(asyncio.create_task(live_in(zone, nats, say)))
    else:
        say("no NPCs: they need the suite's NATS (--nats)")
    try:
        await agent.until_stopped()
    finally:
        for task in working:
            task.cancel()
        await asyncio.wait(working, timeout=FAREWELL_S)


def _saying(out: Outlet) -> Callable[[str], None]:
    return lambda words: out(f"{datetime.now().astimezone():%H:%M:%S}  {words}")


async def _page(gateway: str, zone: str, key: ServerKey | None) -> str:
    """The page's address; who its player is comes behind the #, which no browser sends and no server logs."""
    page = f"{gateway}/demo/?{urlencode({'zone': zone})}"
    if key is None:
        return page
    name = f"player-{secrets.token_hex(2)}"
    return f"{page}#{urlencode({'name': name, 'token': await player_token(gateway, key, name)})}"


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
