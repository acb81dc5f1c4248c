"""The HTTP edge: sampled by kind, continued from the client, counted."""

import httpx
import pytest
from chassis.edge import HttpEdge
from chassis.sampling import ALWAYS, NEVER, Sampling
from opentelemetry.trace import StatusCode
from prometheus_client import REGISTRY
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route


async def joined(request) -> JSONResponse:
    return JSONResponse({})


async def full(request) -> JSONResponse:
    return JSONResponse({}, 409)


async def away(request) -> JSONResponse:
    return JSONResponse({}, 503)


async def broken(request) -> JSONResponse:
    raise KeyError("broken")


@pytest.fixture
async def client(spans):
    app = HttpEdge(
        Starlette(
            routes=[
                Route("/join", joined),
                Route("/beat", joined),
                Route("/full", full),
                Route("/broken", broken),
                Route("/away", away),
            ]
        ),
        Sampling({"GET /join": ALWAYS}, otherwise=NEVER),
        lambda scope: f"{scope['method']} {scope['path']}",
    )
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://edge") as client:
        yield client


async def test_a_kept_request_is_a_span_with_its_outcome(client, spans):
    await client.get("/join")
    span = spans.named("GET /join")
    assert span.kind.name == "SERVER"
    assert span.attributes == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": "/join",
        "network.protocol.version": "1.1",
        "url.path": "/join",
        "url.scheme": "http",
    }


async def test_a_request_that_is_not_kept_is_none(client, spans):
    await client.get("/beat")
    assert spans.all() == []


async def test_a_request_that_is_not_kept_but_refused_is_one(client, spans):
    await client.get("/full")
    refused = spans.named("GET /full")
    assert (refused.attributes["http.response.status_code"], refused.attributes["http.route"]) == (409, "/full")
    assert refused.status.status_code is StatusCode.UNSET


async def test_a_request_that_breaks_is_an_error(client, spans):
    await client.get("/broken")
    broken = spans.named("GET /broken")
    assert broken.status.status_code is StatusCode.ERROR
    assert broken.attributes["error.type"] == "KeyError"


async def test_an_answer_of_5xx_is_an_error_kept_or_not(client, spans):
    await client.get("/away")
    await client.get("/away", headers={"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"})
    assert [span.status.status_code for span in spans.all()] == [StatusCode.ERROR] * 2
    assert [span.attributes["error.type"] for span in spans.all()] == ["503"] * 2


async def test_a_sampled_traceparent_is_continued(client, spans):
    await client.get("/beat", headers={"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"})
    assert f"{spans.named('GET /beat').context.trace_id:032x}" == "0af7651916cd43dd8448eb211c80319c"


async def test_requests_are_counted_by_kind_and_status(client):
    labels = {"route": "GET /full", "status": "409"}
    before = REGISTRY.get_sample_value("p2p_http_seconds_count", labels) or 0
    await client.get("/full")
    assert REGISTRY.get_sample_value("p2p_http_seconds_count", labels) == before + 1
