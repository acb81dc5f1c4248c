"""Zones and what they ask of a host: `/zones`."""

from http import HTTPStatus

from chassis.bus import Bus
from contracts.zones import (
    CHANGE_ZONE,
    EXPLAIN_ZONE,
    GET_ZONE,
    LIST_ZONES,
    PUT_ZONE,
    SET_ZONE_P2P,
    SET_ZONE_STATUS,
    Zone,
)

from signaling_gateway.http.framework import examples
from signaling_gateway.http.framework.resource import Resource
from signaling_gateway.http.framework.routing import Route


def zone_routes(bus: Bus) -> list[Route]:
    """Every route under `/zones`."""
    zones = Resource(bus, "zones")
    return [
        zones.route(
            "POST",
            "/zones",
            PUT_ZONE,
            status=HTTPStatus.CREATED,
            examples=examples.ZONE,
            summary="Make a zone",
            description="Or renew it, if it is known; its status stays.",
        ),
        zones.pages(
            "/zones",
            LIST_ZONES,
            answer=list[Zone],
            aliases={"status_filter": "status"},
            summary="List zones, by priority descending, then by name",
        ),
        zones.pages(
            "/zones/p2p/enabled",
            LIST_ZONES,
            answer=list[Zone],
            fixed={"p2p_enabled": True},
            summary="List zones with P2P on",
        ),
        zones.route("GET", "/zones/{zone_id}", GET_ZONE, summary="Show a zone"),
        zones.route(
            "PATCH",
            "/zones/{zone_id}",
            CHANGE_ZONE,
            summary="Change what is set, leave the rest",
            examples=examples.CHANGE_ZONE,
        ),
        zones.route(
            "PATCH",
            "/zones/{zone_id}/status",
            SET_ZONE_STATUS,
            query=("status",),
            aliases={"new_status": "status"},
            examples=examples.ZONE_STATUS,
            summary="Enable, disable or put into maintenance",
            description="The status may stand in the query or in the body.",
        ),
        zones.route(
            "POST",
            "/zones/{zone_id}/enable-p2p",
            SET_ZONE_P2P,
            fixed={"p2p_enabled": True},
            summary="Let players' machines host the zone",
        ),
        zones.route(
            "POST",
            "/zones/{zone_id}/disable-p2p",
            SET_ZONE_P2P,
            fixed={"p2p_enabled": False},
            summary="Leave the zone to the central server",
        ),
        zones.route(
            "GET",
            "/zones/{zone_id}/explain",
            EXPLAIN_ZONE,
            summary="Tell how each host stands against the zone, and why",
            description="`players` may be given several times, or once with commas.",
        ),
    ]
