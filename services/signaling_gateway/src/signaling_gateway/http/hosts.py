"""Machines that offer to host: `/hosts`."""

from http import HTTPStatus
from typing import Any

from chassis.bus import Bus
from chassis.refusals import ServiceError
from contracts.hosts import (
    BEAT_HOST,
    CHANGE_HOST,
    DELETE_HOST,
    DRAIN_HOST,
    GET_HOST,
    LIST_HOSTS,
    REGISTER_HOST,
    Host,
    ListHosts,
)
from contracts.identifiers import Identifier
from contracts.refusals import Code
from contracts.zones import RANK_HOSTS, RankHosts

from signaling_gateway.http.framework import examples
from signaling_gateway.http.framework.asking import ask
from signaling_gateway.http.framework.exchange import Answer, Request
from signaling_gateway.http.framework.listing import listed, split
from signaling_gateway.http.framework.reading import Reading
from signaling_gateway.http.framework.resource import Resource
from signaling_gateway.http.framework.routing import Route
from signaling_gateway.http.veil import veiled

STATUS_ALIAS = {"status_filter": "status"}

WITH_ROOM: dict[str, Any] = {"available": True}
ONE: dict[str, Any] = {"limit": 1, "cursor": None}

OF_A_ZONE = 64
"""A zone's candidates that fit one reply."""


class NoHostAvailableError(ServiceError):
    """There is no best host, for there is none."""

    code = Code.HOST_NOT_FOUND


class AvailableHosts(ListHosts):
    """Hosts that could take a session now, best score first."""

    zone_id: Identifier | None = None
    """Only hosts that this zone could be given to, in the order in which it would choose them; 64 at most."""


def host_routes(bus: Bus) -> list[Route]:
    """Every route under `/hosts`."""
    routes = _routes(bus, Resource(bus, "hosts"))
    for route in routes:
        if route.method == "GET":  # who changes a host may see it whole
            route.answering = veiled(route.answering)
    return routes


def _routes(bus: Bus, hosts: Resource) -> list[Route]:
    registers: dict[str, Any] = {
        "status": HTTPStatus.CREATED,
        "examples": examples.REGISTER,
        "description": "The host is made, or renewed if it is known. Counts as a beat.",
    }
    return [
        hosts.route("POST", "/hosts", REGISTER_HOST, summary="Register a host", **registers),
        hosts.route(
            "POST", "/hosts/register", REGISTER_HOST, summary="Register a host, as older programs do", **registers
        ),
        hosts.pages(
            "/hosts",
            LIST_HOSTS,
            answer=list[Host],
            summary="List hosts, best score first",
            aliases=STATUS_ALIAS,
            hidden=("available",),
        ),
        *_available(bus, hosts),
        hosts.route("GET", "/hosts/{host_id}", GET_HOST, summary="Show a host", hidden=("run_id",)),
        hosts.route(
            "PATCH",
            "/hosts/{host_id}",
            CHANGE_HOST,
            summary="Change what is set, leave the rest",
            examples=examples.CHANGE_HOST,
        ),
        hosts.route(
            "POST", "/hosts/{host_id}/heartbeat", BEAT_HOST, summary="Tell that a host lives", examples=examples.BEAT
        ),
        hosts.route(
            "POST",
            "/hosts/{host_id}/drain",
            DRAIN_HOST,
            summary="Give a host no more sessions",
            examples=examples.DRAIN,
        ),
        hosts.route("DELETE", "/hosts/{host_id}", DELETE_HOST, summary="Forget a host", status=HTTPStatus.NO_CONTENT),
    ]


def _available(bus: Bus, hosts: Resource) -> list[Route]:
    every = Reading("GET", "/hosts/available/list", AvailableHosts, fixed=WITH_ROOM, hidden=("status", "region"))
    best = Reading("GET", "/hosts/available/best", AvailableHosts, fixed=WITH_ROOM | ONE, hidden=("status", "region"))

    async def list_them(request: Request) -> Answer:
        return await _find(bus, every.read(request), request)

    async def choose(request: Request) -> Answer:
        found = await _find(bus, best.read(request), request)
        if found.body == b"[]":
            raise NoHostAvailableError("No host is available.")
        return Answer(found.body[1:-1])

    return [
        hosts.answered(
            every,
            list_them,
            LIST_HOSTS,
            answer=list[Host],
            codes=RANK_HOSTS.refusals,
            summary="List hosts that have room",
        ),
        hosts.answered(
            best,
            choose,
            LIST_HOSTS,
            answer=Host,
            codes=RANK_HOSTS.refusals | {Code.HOST_NOT_FOUND},
            summary="Show the best host that has room",
        ),
    ]


async def _find(bus: Bus, question: AvailableHosts, request: Request) -> Answer:
    if question.zone_id is None:
        return await listed(bus, LIST_HOSTS, question, request)
    ranked = RankHosts(
        zone_id=question.zone_id, min_quality_score=question.min_quality_score, limit=min(question.limit, OF_A_ZONE)
    )
    items, _, _ = split(await ask(bus, RANK_HOSTS, ranked, request))
    return Answer(b"[%s]" % items)
