"""Lists are arrays up to the client's limit, however the owner pages them, with a link to what follows."""

import httpx
import orjson
import pytest
from contracts.hosts import Host, ListHosts
from contracts.subjects import Message
from hypothesis import given, settings
from hypothesis import strategies as st
from signaling_gateway.http.framework.listing import split

from services.signaling_gateway.tests.rest.owners import Owners, example

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOST = orjson.loads(example(Host))


def hosts(count: int, *, at_once: int, counts: bool = False):
    """An owner of this many hosts, whose replies carry at most `at_once`; some say how many."""

    async def page(question: Message) -> bytes:
        assert isinstance(question, ListHosts)
        start = int(question.cursor or 0)
        end = min(start + min(question.limit, at_once), count)
        items = [HOST | {"id": number} for number in range(start, end)]
        told = {"count": len(items)} if counts else {}
        return orjson.dumps({"items": items, "next_cursor": str(end) if end < count else None} | told)

    return page


def ids(response: httpx.Response) -> list[int]:
    return [host["id"] for host in response.json()]


async def test_an_empty_list_is_an_empty_array(client: httpx.AsyncClient, owners: Owners):
    owners.replies["p2p.hosts.list"] = hosts(0, at_once=10)

    response = await client.get("/api/v1/hosts")

    assert response.content == b"[]"
    assert "link" not in response.headers


async def test_pages_shorter_than_the_limit_are_put_together(client: httpx.AsyncClient, owners: Owners):
    owners.replies["p2p.hosts.list"] = hosts(25, at_once=10)

    response = await client.get("/api/v1/hosts")

    assert ids(response) == list(range(25))
    assert "link" not in response.headers


async def test_the_link_leads_through_the_whole_list(client: httpx.AsyncClient, owners: Owners):
    owners.replies["p2p.hosts.list"] = hosts(25, at_once=4)

    seen: list[list[int]] = []
    target: str | None = "/api/hosts/?limit=10&region=eu%20west"
    while target:
        response = await client.get(target)
        seen.append(ids(response))
        target = response.links.get("next", {}).get("url")

    assert seen == [list(range(10)), list(range(10, 20)), list(range(20, 25))]
    assert {fields["region"] for fields in owners.asked_on("p2p.hosts.list")} == {"eu west"}


@pytest.mark.parametrize("counts", [False, True])
async def test_the_owner_is_never_asked_for_more_than_is_left(client: httpx.AsyncClient, owners: Owners, counts: bool):
    owners.replies["p2p.hosts.list"] = hosts(25, at_once=4, counts=counts)

    await client.get("/api/v1/hosts?limit=10")

    assert [fields["limit"] for fields in owners.asked_on("p2p.hosts.list")] == [10, 6, 2]


async def test_a_cursor_of_nobody_is_the_owners_to_refuse(client: httpx.AsyncClient, owners: Owners):
    await client.get("/api/v1/hosts?cursor=%22%5D%7D")

    assert owners.asked_on("p2p.hosts.list") == [{"cursor": '"]}'}]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["items", "next_cursor", '],"next_cursor":', "a"]), inner, max_size=3)
    ),
)


@settings(deadline=None)
@given(items=st.lists(JSON, max_size=4), cursor=st.none() | st.text(st.characters(exclude_categories=["Cs"])))
async def test_cutting_a_page_is_decoding_it(items: list[object], cursor: str | None):
    for told in ({}, {"count": len(items)}):
        found, following, count = split(orjson.dumps({"items": items, "next_cursor": cursor} | told))

        assert orjson.loads(b"[%s]" % found) == items
        assert (following, count) == (cursor, told.get("count"))


async def test_a_page_spelt_otherwise_is_cut_as_well():
    spelt = b'{"next_cursor": "7", "items": [{"id": 1}, {"id": 2}]}'

    assert split(spelt) == (b'{"id":1},{"id":2}', "7", 2)
