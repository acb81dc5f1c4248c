"""Who answers what: subjects in, use case, reply."""

from datetime import timedelta

from chassis.events import Consumers
from chassis.responder import Responder
from contracts.sessions import SessionFact
from contracts.streams import EVENTS
from contracts.subjects import Nothing
from contracts.zones import (
    CHANGE_ZONE,
    COUNT_ZONES,
    EXPLAIN_ZONE,
    GET_ZONE,
    LIST_ZONES,
    PLACE,
    PUT_ZONE,
    RANK_HOSTS,
    RETELL_ZONES,
    SET_ZONE_P2P,
    SET_ZONE_STATUS,
    NameZone,
    Zone,
    ZoneCounts,
)

from zone_manager.assignment import Assignment
from zone_manager.catalogue import Catalogue
from zone_manager.comparison import Comparison
from zone_manager.store import ZoneStore
from zone_manager.tallying import Tallying

GATHER = timedelta(milliseconds=50)
"""Figures are for people: a twentieth of a second later, and many facts cost one write."""


def answer_zones(responder: Responder, zones: ZoneStore, catalogue: Catalogue) -> None:
    async def get(question: NameZone) -> Zone:
        return await zones.get(question.zone_id)

    async def count(_question: Nothing) -> ZoneCounts:
        return await zones.count()

    responder.answer(PUT_ZONE, catalogue.put)
    responder.answer(GET_ZONE, get)
    responder.answer(LIST_ZONES, catalogue.list)
    responder.answer(CHANGE_ZONE, catalogue.change)
    responder.answer(SET_ZONE_STATUS, catalogue.set_status)
    responder.answer(SET_ZONE_P2P, catalogue.set_p2p)
    responder.answer(COUNT_ZONES, count)
    responder.answer(RETELL_ZONES, catalogue.retell)


def answer_placement(responder: Responder, assignment: Assignment, comparison: Comparison) -> None:
    responder.answer(PLACE, assignment.place)
    responder.answer(RANK_HOSTS, comparison.rank)
    responder.answer(EXPLAIN_ZONE, comparison.explain)


def hear_sessions(consumers: Consumers, tallying: Tallying) -> None:
    consumers.consume(
        EVENTS, "p2p.events.sessions.>", SessionFact, tallying.session_changed, name="sessions", gather=GATHER
    )
