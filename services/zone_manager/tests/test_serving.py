"""zone_manager as others meet it: over NATS, with PostgreSQL behind it and a host_registry in the test's hand."""

import json
from asyncio import gather
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from chassis.bus import Bus
from chassis.consumer import Delivery
from chassis.events import Consumers
from chassis.refusals import RefusedError
from chassis.requests import Caller, call
from contracts import zones
from contracts.refusals import Code, Refusal
from contracts.streams import EVENTS
from contracts.subjects import Message, Nothing, Rpc
from contracts.zones import (
    CHANGE_ZONE,
    COUNT_ZONES,
    EXPLAIN_ZONE,
    GET_ZONE,
    LIST_ZONES,
    PLACE,
    PUT_ZONE,
    RANK_HOSTS,
    SET_ZONE_P2P,
    SET_ZONE_STATUS,
    ZONE_CHANGED,
    ChangeZone,
    ExplainZone,
    ListZones,
    NameZone,
    Place,
    RankHosts,
    SetZoneP2p,
    SetZoneStatus,
    Zone,
    ZoneFact,
    ZoneStatus,
)
from testkit.eventually import eventually
from testkit.patience import patient
from testkit.servers import TestServer
from zone_manager.app import service
from zone_manager.settings import Settings

from services.zone_manager.tests.conftest import tell_sessions
from services.zone_manager.tests.examples import candidate, put_zone, session_fact
from services.zone_manager.tests.fakes import RegistryInMemory

PATIENT = timedelta(seconds=patient(30))
"""Many at once on a busy machine: none is refused for lateness."""

TOWNS = ["prontera", "geffen", "morocc", "payon", "alberta", "aldebaran", "izlude"]


async def zone(bus: Bus, zone_id: str = "prontera") -> Zone:
    return await call(bus, GET_ZONE, NameZone(zone_id=zone_id))


async def refusal(bus: Bus, rpc: Rpc, question: Message, key: str | None = None) -> Refusal:
    with pytest.raises(RefusedError) as refused:
        await call(bus, rpc, question, idempotency_key=key)
    return refused.value.refusal


@pytest.fixture
async def facts(bus: Bus, zone_manager: None) -> AsyncIterator[list[ZoneFact]]:
    """What is announced from now on."""
    heard: list[ZoneFact] = []

    async def hear(fact: ZoneFact, delivery: Delivery) -> None:
        assert delivery.subject == ZONE_CHANGED.of(zone_id=fact.zone_id)
        heard.append(fact)

    consumers = Consumers(bus, "test", instance="test")
    consumers.consume(EVENTS, ZONE_CHANGED.wildcard, ZoneFact, hear, name="zones")
    async with consumers:
        await eventually(lambda: len(heard) == len(TOWNS))
        heard.clear()
        yield heard


@pytest.mark.usefixtures("zone_manager")
async def test_it_serves_exactly_what_its_contract_publishes(bus: Bus):
    described = json.loads((await bus.request("$SRV.INFO.zone_manager", b"", timeout_s=patient(5))).data)
    published = [rpc.subject for rpc in vars(zones).values() if isinstance(rpc, Rpc)]
    assert sorted(endpoint["subject"] for endpoint in described["endpoints"]) == sorted(published)


@pytest.mark.usefixtures("zone_manager")
async def test_the_first_start_has_the_seven_towns(bus: Bus):
    listed = await call(bus, LIST_ZONES, ListZones())
    assert [(town.zone_id, town.status) for town in listed.items] == [(town, ZoneStatus.ENABLED) for town in TOWNS]
    counts = await call(bus, COUNT_ZONES, Nothing())
    assert (counts.total, counts.enabled, counts.disabled) == (7, 7, 0)


async def test_a_later_start_brings_no_seed_back(bus: Bus, settings: Settings):
    async with service(settings):
        await call(bus, CHANGE_ZONE, ChangeZone(zone_id="prontera", max_players=7, status=ZoneStatus.DISABLED))
    elsewhere = settings.model_copy(update={"p2p_enabled_zones": ("glast_heim",), "seeds": "/nowhere"})
    async with service(elsewhere):
        prontera = await zone(bus)
        assert (prontera.max_players, prontera.status) == (7, ZoneStatus.DISABLED)
        assert (await call(bus, COUNT_ZONES, Nothing())).total == 7


async def test_the_first_start_heeds_p2p_enabled_zones(bus: Bus, settings: Settings):
    async with service(settings.model_copy(update={"p2p_enabled_zones": ("prontera", "glast_heim")})):
        allowed = await call(bus, LIST_ZONES, ListZones(p2p_enabled=True))
        assert [item.zone_id for item in allowed.items] == ["prontera", "glast_heim"]
        assert (await call(bus, COUNT_ZONES, Nothing())).total == 8


async def test_several_that_start_at_once_seed_once(bus: Bus, settings: Settings):
    async with service(settings), service(settings.model_copy(update={"instance": "zone-manager-2"})):
        assert (await call(bus, COUNT_ZONES, Nothing())).total == 7


@pytest.mark.usefixtures("zone_manager")
async def test_a_zone_is_put_changed_and_told_of_each_time(bus: Bus, facts: list[ZoneFact]):
    made = await call(bus, PUT_ZONE, put_zone("1@tower", min_host_quality_score=7.5))
    assert made.min_host_quality_score == 75
    changed = await call(bus, CHANGE_ZONE, ChangeZone(zone_id="1@tower", p2p_priority=9))
    assert changed == made.model_copy(update={"p2p_priority": 9, "updated_at": changed.updated_at})
    closed = await call(bus, SET_ZONE_STATUS, SetZoneStatus(zone_id="1@tower", status=ZoneStatus.MAINTENANCE))
    central = await call(bus, SET_ZONE_P2P, SetZoneP2p(zone_id="1@tower", p2p_enabled=False))
    assert (central.status, central.p2p_enabled) == (ZoneStatus.MAINTENANCE, False)

    await eventually(lambda: len(facts) == 4)
    assert [fact.zone for fact in facts] == [made, changed, closed, central]
    assert [fact.revision for fact in facts] == [1, 2, 3, 4]


@pytest.mark.usefixtures("zone_manager")
async def test_a_command_that_changes_nothing_is_not_told_of(bus: Bus, facts: list[ZoneFact]):
    before = await zone(bus)
    assert await call(bus, SET_ZONE_P2P, SetZoneP2p(zone_id="prontera", p2p_enabled=True)) == before
    assert await call(bus, CHANGE_ZONE, ChangeZone(zone_id="prontera")) == before
    await call(bus, SET_ZONE_P2P, SetZoneP2p(zone_id="geffen", p2p_enabled=False))
    await eventually(lambda: facts)
    assert [fact.zone_id for fact in facts] == ["geffen"]


@pytest.mark.usefixtures("zone_manager")
async def test_a_put_under_the_same_key_is_one_put_with_one_answer(bus: Bus):
    question = put_zone("glast_heim", max_players=10)
    caller = Caller("operator", "ops")
    first = await call(bus, PUT_ZONE, question, caller=caller, idempotency_key="k1")
    await call(bus, CHANGE_ZONE, ChangeZone(zone_id="glast_heim", max_players=99))
    again = await call(bus, PUT_ZONE, question, caller=caller, idempotency_key="k1")
    assert again == first
    assert (await zone(bus, "glast_heim")).max_players == 99


@pytest.mark.usefixtures("zone_manager")
async def test_a_key_that_came_with_another_zone_is_refused(bus: Bus):
    await call(bus, PUT_ZONE, put_zone("a"), idempotency_key="k1")
    refused = await refusal(bus, PUT_ZONE, put_zone("b"), key="k1")
    assert refused.code is Code.IDEMPOTENCY_KEY_REUSED


@pytest.mark.usefixtures("zone_manager")
@pytest.mark.parametrize(
    "rpc, question",
    [
        (GET_ZONE, NameZone(zone_id="atlantis")),
        (CHANGE_ZONE, ChangeZone(zone_id="atlantis", max_players=1)),
        (SET_ZONE_STATUS, SetZoneStatus(zone_id="atlantis", status=ZoneStatus.ENABLED)),
        (SET_ZONE_P2P, SetZoneP2p(zone_id="atlantis", p2p_enabled=True)),
        (EXPLAIN_ZONE, ExplainZone(zone_id="atlantis")),
        (RANK_HOSTS, RankHosts(zone_id="atlantis")),
        (PLACE, Place(zone_id="atlantis", session_id="session-0000000000000001")),
    ],
    ids=lambda value: value.subject if isinstance(value, Rpc) else "",
)
async def test_a_zone_that_is_not_there_is_not_found(bus: Bus, rpc: Rpc, question: Message):
    refused = await refusal(bus, rpc, question)
    assert refused.code is Code.ZONE_NOT_FOUND
    assert refused.fields == {"zone_id": "atlantis"}


@pytest.mark.usefixtures("zone_manager")
async def test_a_zone_whose_name_fits_no_subject_is_refused_and_not_stored(bus: Bus):
    zone = put_zone("long", zone_name="long", zone_display_name="l", map_name="l")
    refused = await refusal(bus, PUT_ZONE, zone.model_copy(update={"zone_id": "界" * 100}))
    assert refused.code is Code.INVALID
    assert (await call(bus, COUNT_ZONES, Nothing())).total == 7


@pytest.mark.usefixtures("zone_manager")
async def test_a_cursor_of_ones_own_making_is_refused(bus: Bus):
    assert (await refusal(bus, LIST_ZONES, ListZones(cursor="nonsense"))).code is Code.INVALID


@pytest.mark.usefixtures("zone_manager")
async def test_lists_page(bus: Bus):
    first = await call(bus, LIST_ZONES, ListZones(limit=4))
    second = await call(bus, LIST_ZONES, ListZones(limit=4, cursor=first.next_cursor))
    assert [item.zone_id for item in (*first.items, *second.items)] == TOWNS
    assert second.next_cursor is None


@pytest.mark.usefixtures("zone_manager")
async def test_the_documented_host_is_placed_in_the_capital(bus: Bus, registry: RegistryInMemory):
    placement = await call(
        bus, PLACE, Place(zone_id="prontera", session_id="session-0000000000000001", host_id="host-12345")
    )
    assert placement.host.host_id == "host-12345"
    assert placement.zone.zone_id == "prontera"
    assert registry.slots["host-12345"] == {"session-0000000000000001": 0}


@pytest.mark.usefixtures("zone_manager")
async def test_a_host_nobody_knows_is_not_found(bus: Bus):
    refused = await refusal(
        bus, PLACE, Place(zone_id="prontera", session_id="session-0000000000000001", host_id="nobody")
    )
    assert refused.code is Code.HOST_NOT_FOUND


@pytest.mark.usefixtures("zone_manager")
async def test_a_closed_zone_takes_nobody_from_the_moment_it_is_answered(bus: Bus):
    for status in (ZoneStatus.DISABLED, ZoneStatus.MAINTENANCE):
        await call(bus, SET_ZONE_STATUS, SetZoneStatus(zone_id="prontera", status=status))
        refused = await refusal(bus, PLACE, Place(zone_id="prontera", session_id="session-0000000000000001"))
        assert refused.code is Code.ZONE_DISABLED
    await call(bus, SET_ZONE_STATUS, SetZoneStatus(zone_id="prontera", status=ZoneStatus.ENABLED))
    assert (await call(bus, PLACE, Place(zone_id="prontera", session_id="session-0000000000000001"))).considered == 1


async def test_two_processes_fill_every_slot_and_none_twice(
    bus: Bus, settings: Settings, registry: RegistryInMemory, zone_manager: None
):
    registry.candidates = {f"host-{n}": candidate(f"host-{n}", max_zones=5) for n in range(12)}
    async with service(settings.model_copy(update={"instance": "zone-manager-2"})):
        outcomes = await gather(
            *(
                call(bus, PLACE, Place(zone_id="prontera", session_id=f"session-{number:016x}"), deadline=PATIENT)
                for number in range(70)
            ),
            return_exceptions=True,
        )
    refusals = [outcome.refusal for outcome in outcomes if isinstance(outcome, RefusedError)]
    assert {refused.code for refused in refusals} == {Code.NO_HOST_FREE}
    assert len(refusals) == 10
    assert Counter(len(held) for held in registry.slots.values()) == {5: 12}


@pytest.mark.usefixtures("zone_manager")
async def test_figures_follow_the_sessions_announced(bus: Bus):
    await tell_sessions(bus, {"created": session_fact(1, joined=("a", "b"))})
    await tell_sessions(bus, {"joined": session_fact(2, joined=("c",))})
    await tell_sessions(bus, {"created": session_fact(1, session_id="session-00000000000000ff")})
    await tell_sessions(bus, {"ended": session_fact(3, left=("a", "b", "c"))})

    async def figures() -> bool:
        prontera = await zone(bus)
        found = (prontera.total_sessions, prontera.active_sessions, prontera.total_players_served)
        return found == (2, 1, 3)

    await eventually(figures)


async def test_figures_stay_true_over_restarts_and_repeats(bus: Bus, settings: Settings):
    async with service(settings):
        await tell_sessions(bus, {"created": session_fact(1, joined=("a",))})
        await eventually(lambda: _total(bus, 1))
    # Told again, under ids the stream does not know any more: as after an outage longer than its memory.
    await tell_sessions(bus, {"created": session_fact(1, joined=("a",))}, again=True)
    await tell_sessions(bus, {"created": session_fact(1, session_id="session-00000000000000ff")})
    async with service(settings):
        await eventually(lambda: _total(bus, 2))
        assert (await zone(bus)).total_players_served == 1


async def _total(bus: Bus, sessions: int) -> bool:
    return (await zone(bus)).total_sessions == sessions


@pytest.mark.usefixtures("zone_manager")
async def test_without_its_database_it_says_so_and_comes_back(bus: Bus, postgres_server: TestServer):
    await postgres_server.stop()
    assert (await refusal(bus, GET_ZONE, NameZone(zone_id="prontera"))).code is Code.UNAVAILABLE
    await postgres_server.start()

    async def back() -> bool:
        try:
            return (await zone(bus)).zone_id == "prontera"
        except RefusedError:
            return False

    await eventually(back)


async def test_without_a_registry_placing_is_unavailable(bus: Bus, settings: Settings):
    async with service(settings):
        refused = await refusal(bus, PLACE, Place(zone_id="prontera", session_id="session-0000000000000001"))
        assert refused.code is Code.UNAVAILABLE
