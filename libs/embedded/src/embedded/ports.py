"""Which TCP ports of 127.0.0.1 may be listened on."""

import atexit
import random
import socket
import sys
from collections import deque
from collections.abc import Container

import psutil

from embedded.errors import PortTakenError

LOOPBACK = "127.0.0.1"

FREE_RANGE = range(15000, 32000)
"""Below those that Linux gives to outgoing connections (32768 up): none slips in between choice and use."""

KEPT = 64
"""Ports that this process has chosen last and keeps from others that choose: more than one suite listens on."""

_chosen: deque[socket.socket] = deque()


@atexit.register
def _release() -> None:
    while _chosen:
        _chosen.popleft().close()


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As the servers do: connections of an earlier run that linger in TIME_WAIT are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port(preferred: int | None = None, besides: Container[int] = ()) -> int:
    """`preferred` if it is free, else some other port that is; none of `besides`, on which somebody is about to listen.

    Of a dozen ports chosen at random two are the same in every 250th suite.
    """
    if preferred is not None and preferred not in besides and is_free(preferred):
        return preferred
    chance = random.SystemRandom()
    while True:
        port = chance.choice(FREE_RANGE)
        if port not in besides and is_free(port) and _keep(port):
            return port


def free_ports(count: int) -> list[int]:
    """So many different ones."""
    ports: list[int] = []
    while len(ports) < count:
        ports.append(free_port(besides=ports))
    return ports


def _keep(port: int) -> bool:
    """Have no other process choose it between our choice and the moment somebody listens there.

    Two suites that start at once would. Whoever chooses binds an abstract socket of the port's name: Linux lets one
    only, and forgets it with its process.
    """
    if sys.platform != "linux":
        return True
    name = socket.socket(socket.AF_UNIX)
    try:
        name.bind(f"\0p2p-port-{port}")
    except OSError:
        name.close()
        return False
    _chosen.append(name)
    if len(_chosen) > KEPT:
        _chosen.popleft().close()
    return True


def require_free(port: int, wanted_for: str, remedy: str) -> int:
    """Give `port` back, or say who holds it; `remedy` is what to do then."""
    if not is_free(port):
        raise PortTakenError(port, wanted_for, _holder(port), remedy)
    return port


def _holder(port: int) -> str:
    try:
        listeners = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        return "another program"
    for connection in listeners:
        listens = connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,)
        if listens and connection.pid:
            try:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
            except psutil.NoSuchProcess:
                break
    return "another program"
