"""Lists: the owners' pages, each bounded by what one reply carries, put together up to the client's limit.

Replies are cut, not decoded: a page's items are the bytes between its two keys, in the order contracts writes them.
"""

from typing import TypeVar
from urllib.parse import quote, urlencode

import orjson
from chassis.bus import Bus
from contracts.subjects import Page, Rpc
from pydantic import BaseModel

from signaling_gateway.http.asking import ask
from signaling_gateway.http.exchange import Answer, Answering, Request
from signaling_gateway.http.reading import Reading, words_in

PageOf = TypeVar("PageOf", bound=BaseModel)
Listed = TypeVar("Listed", bound=Page)

_HEAD = b'{"items":['
_CUT = b'],"next_cursor":'
_NO_MORE = b"null"


def listing(bus: Bus, rpc: Rpc[Listed, PageOf], reading: Reading[Listed]) -> Answering:
    """Answer with a JSON array, and with a `Link` to the next page if there is one."""

    async def answer(request: Request) -> Answer:
        return await listed(bus, rpc, reading.read(request), request)

    return answer


async def listed(bus: Bus, rpc: Rpc[Listed, PageOf], question: Listed, request: Request) -> Answer:
    """Ask for page after page until the limit is reached or there is no more."""
    parts: list[bytes] = []
    wanted = question.limit
    while True:
        items, cursor = split(await ask(bus, rpc, question, request))
        if items:
            parts.append(items)
        if cursor == _NO_MORE:
            return Answer(b"[%s]" % b",".join(parts))
        wanted -= len(orjson.loads(b"[%s]" % items))
        if wanted <= 0 or not items:
            return Answer(b"[%s]" % b",".join(parts), headers=(_link(request, cursor),))
        question = question.model_copy(update={"limit": wanted, "cursor": orjson.loads(cursor)})


def split(page: bytes) -> tuple[bytes, bytes]:
    """Cut a page into its items, without the brackets, and its next cursor, both still JSON."""
    # A cursor is a string or null and holds no bare quote, so the last such key is the page's own.
    cut = page.rfind(_CUT)
    if not page.startswith(_HEAD) or cut < 0:  # another spelling of the same: it costs a decoding
        decoded = orjson.loads(page)
        return orjson.dumps(decoded["items"])[1:-1], orjson.dumps(decoded["next_cursor"])
    return page[len(_HEAD) : cut], page[cut + len(_CUT) : -1]


def _link(request: Request, cursor: bytes) -> tuple[bytes, bytes]:
    query = [(name, value) for name, value in words_in(request.query) if name != "cursor"]
    query.append(("cursor", orjson.loads(cursor)))
    target = f"{quote(request.path, safe='/%')}?{urlencode(query)}"
    return b"link", f'<{target}>; rel="next"'.encode("ascii")
