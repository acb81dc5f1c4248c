"""Lists: the owners' pages, each bounded by what one reply carries, put together up to the client's limit.

Replies are cut, not decoded: a page's items are the bytes between its two keys, in the order contracts writes them.
"""

from typing import TypeVar
from urllib.parse import quote, urlencode

import orjson
from chassis.bus import Bus
from contracts.subjects import Page, Rpc
from pydantic import BaseModel

from signaling_gateway.http.framework.asking import ask
from signaling_gateway.http.framework.exchange import Answer, Answering, Request
from signaling_gateway.http.framework.reading import Reading, words_in

PageOf = TypeVar("PageOf", bound=BaseModel)
Listed = TypeVar("Listed", bound=Page)

_HEAD = b'{"items":['
_CUT = b'],"next_cursor":'
_REST = b'{"next_cursor":%b'


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
        items, cursor, count = split(await ask(bus, rpc, question, request))
        if items:
            parts.append(items)
        if cursor is None:
            return Answer(b"[%s]" % b",".join(parts))
        wanted -= len(orjson.loads(b"[%s]" % items)) if count is None else count
        if wanted <= 0 or not items:
            return Answer(b"[%s]" % b",".join(parts), headers=(_link(request, cursor),))
        question = question.model_copy(update={"limit": wanted, "cursor": cursor})


def split(page: bytes) -> tuple[bytes, str | None, int | None]:
    """Cut a page into its items, still JSON and without brackets, its next cursor, and how many it says they are."""
    # A cursor is a string or null and holds no bare quote, so the last such key is the page's own.
    cut = page.rfind(_CUT)
    if not page.startswith(_HEAD) or cut < 0:  # another spelling of the same: it costs a decoding
        decoded = orjson.loads(page)
        return orjson.dumps(decoded["items"])[1:-1], decoded["next_cursor"], len(decoded["items"])
    rest = orjson.loads(_REST % page[cut + len(_CUT) :])
    return page[len(_HEAD) : cut], rest["next_cursor"], rest.get("count")


def _link(request: Request, cursor: str) -> tuple[bytes, bytes]:
    query = [(name, value) for name, value in words_in(request.query) if name != "cursor"]
    query.append(("cursor", cursor))
    target = f"{quote(request.path, safe='/%')}?{urlencode(query)}"
    return b"link", f'<{target}>; rel="next"'.encode("ascii")
