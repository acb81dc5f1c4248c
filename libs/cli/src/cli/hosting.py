"""The demo: hosts on this machine with a chat for a game, NPCs about, and a page that enters it, until Ctrl-C."""

import asyncio
import secrets
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from embedded.errors import EmbeddedError
from embedded.hints import p2p
from sdk import NotAllowedError, P2pError, ServerKey, UnreachableError

from cli.demo_host import hosting, this_machine
from cli.demo_hosts import DemoHosts
from cli.demo_key import key_for, player_token
from cli.ending import beside, cancel_on_signals
from cli.entrance import Entrance
from cli.npcs import live_in
from cli.outlet import Outlet, output


@dataclass(frozen=True)
class Demo:
    """What is to be shown, and where."""

    gateway: str
    zone: str
    nats: Entrance | None
    """The suite's; without it there are no NPCs."""
    hosts: int
    """One is this process; several run in processes of their own."""
    kill_after: float | None
    """Seconds of play, after which the host that carries the players is killed."""


def host_chat(demo: Demo, key: str | None) -> None:
    """Serve until Ctrl-C or SIGTERM; what goes wrong for good ends the program with the reason.

    Where the gateway asks who calls, `key` is a server's, or one is made over NATS.
    """
    out = Outlet(output())
    try:
        asyncio.run(_host_until_stopped(demo, key, out))
    except UnreachableError as error:
        sys.exit(f"error: {error}; is the suite running? `{p2p('up')}` starts it")
    except NotAllowedError as error:
        sys.exit(f"error: {error} (for this command: --key)")
    except (P2pError, EmbeddedError) as error:
        sys.exit(f"error: {error}")
    finally:
        out.close()


async def _host_until_stopped(demo: Demo, key: str | None, out: Outlet) -> None:
    cancel_on_signals()
    async with key_for(demo.nats, key, _saying(out)) as server_key:
        try:
            await (_one if demo.hosts == 1 else _several)(demo, server_key, out)
        except asyncio.CancelledError:
            return  # asked to end


async def _one(demo: Demo, key: ServerKey | None, out: Outlet) -> None:
    say = _saying(out)
    page = await _page(demo, key)
    async with hosting(demo.gateway, this_machine(), key, say) as agent:
        _invite(out, page)
        async with beside(_npcs(demo, say)):
            await agent.until_stopped()


async def _several(demo: Demo, key: ServerKey | None, out: Outlet) -> None:
    say = _saying(out)
    hosts = DemoHosts(demo.gateway, key, demo.hosts, say)
    page = await _page(demo, key, hosts.names)
    async with hosts.running():
        _invite(out, page)
        killing = () if demo.kill_after is None else (hosts.kill_when_played(demo.kill_after),)
        async with beside(_npcs(demo, say), *killing):
            await asyncio.Event().wait()


def _invite(out: Outlet, page: str) -> None:
    out(f"\n  open        {page}\n  stop        Ctrl-C\n")


async def _npcs(demo: Demo, say: Callable[[str], None]) -> None:
    if demo.nats:
        await live_in(demo.zone, demo.nats, say)
    else:
        say("no NPCs: they need the suite's NATS (--nats)")


def _saying(out: Outlet) -> Callable[[str], None]:
    return lambda words: out(f"{datetime.now().astimezone():%H:%M:%S}  {words}")


async def _page(demo: Demo, key: ServerKey | None, hosts: Sequence[str] = ()) -> str:
    """The page's address; who its player is comes behind the #, which no browser sends and no server logs."""
    query = {"zone": demo.zone, **({"hosts": ",".join(hosts)} if hosts else {})}
    page = f"{demo.gateway}/demo/?{urlencode(query, safe=',')}"
    if key is None:
        return page
    name = f"player-{secrets.token_hex(2)}"
    return f"{page}#{urlencode({'name': name, 'token': await player_token(demo.gateway, key, name)})}"
