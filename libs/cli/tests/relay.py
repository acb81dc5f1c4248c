"""A TURN server as far as an allocation: it asks who we are, checks what we show, and names an address."""

import asyncio
import base64
import hashlib
import hmac
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from aioice import stun
from aioice.turn import make_integrity_key

REALM, NONCE = "test", b"0123456789"
RELAYED = ("192.0.2.1", 50000)


class _Relay(asyncio.DatagramProtocol):
    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()
        self._transport: asyncio.DatagramTransport

    def connection_made(self, transport):
        self._transport = transport

    def datagram_received(self, data, addr):
        asked = stun.parse_message(data)
        answer = stun.Message(asked.message_method, stun.Class.RESPONSE, transaction_id=asked.transaction_id)
        key = None
        if asked.message_method == stun.Method.BINDING:
            answer.attributes["XOR-MAPPED-ADDRESS"] = addr
        elif (key := self._key_of(asked)) is None:
            answer.message_class = stun.Class.ERROR
            answer.attributes |= {"ERROR-CODE": (401, "Unauthorized"), "NONCE": NONCE, "REALM": REALM}
        else:
            relayed = {"XOR-RELAYED-ADDRESS": RELAYED, "XOR-MAPPED-ADDRESS": addr, "LIFETIME": 600}
            answer.attributes |= {"LIFETIME": 0} if asked.message_method == stun.Method.REFRESH else relayed
        if key is not None:
            answer.add_message_integrity(key)
        self._transport.sendto(bytes(answer), addr)

    def _key_of(self, asked: stun.Message) -> bytes | None:
        """What its answer is signed with, as coturn's `use-auth-secret` has it; None for whoever shows nothing good."""
        username = asked.attributes.get("USERNAME")
        if username is None:
            return None
        password = base64.b64encode(hmac.new(self._secret, username.encode(), hashlib.sha1).digest()).decode()
        key = make_integrity_key(username, REALM, password)
        return key if asked.check_message_integrity(key) else None


@contextmanager
def relay(secret: str) -> Iterator[int]:
    """Run one on loopback; gives its UDP port."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    opening = loop.create_datagram_endpoint(lambda: _Relay(secret), local_addr=("127.0.0.1", 0))
    transport, _ = asyncio.run_coroutine_threadsafe(opening, loop).result()
    try:
        yield transport.get_extra_info("sockname")[1]
    finally:
        loop.call_soon_threadsafe(transport.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(asyncio.sleep(0))  # it closes its socket one turn later
        loop.close()
