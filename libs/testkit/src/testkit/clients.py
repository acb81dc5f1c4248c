"""Clients of HTTP and WebSocket whose deadlines are those of a test, instead of their libraries' own."""

import ssl
from functools import partial

import httpx
from websockets.asyncio import client

from testkit.patience import patient

http_client = partial(httpx.AsyncClient, timeout=patient(10), verify=ssl.create_default_context())
"""One set of authorities for all: to read them takes each client 30 ms otherwise."""

connect = partial(client.connect, open_timeout=patient(10), ping_timeout=patient(20), close_timeout=patient(10))
