"""Which question is next, and how long a service that fails is left alone."""

from itertools import pairwise

import pytest
from scheduler.ai_service.breaker import FIRST_PAUSE_S, LONGEST_PAUSE_S, LONGEST_WISH_S, OPENS_AFTER, Breaker, Stand
from scheduler.ai_service.questions import (
    ABSENT_EVERY_S,
    Agenda,
    AskCatalogue,
    AskEnvironment,
    AskHealth,
    AskNpc,
    Question,
)

ZONES = ("prontera", "geffen")


def settled(**fields: object) -> Agenda:
    """One that has the environment, and knows that there is no catalogue."""
    agenda = Agenda(every=5, pace=1, term=7)
    agenda.environment, agenda.catalogues = 0.0, None
    for name, value in fields.items():
        setattr(agenda, name, value)
    return agenda


def asked(agenda: Agenda, npc_ids: tuple[str, ...], moments: list[float]) -> list[Question | None]:
    questions = []
    for now in moments:
        question = agenda.next(ZONES, npc_ids, now)
        if question is not None:
            agenda.asked(question, now)
        questions.append(question)
    return questions


def test_the_world_comes_first_then_the_urls_that_may_not_be_there():
    agenda = Agenda(every=5, pace=1, term=7)
    assert asked(agenda, ("guard",), [0, 0, 0, 0]) == [
        AskEnvironment(),
        AskCatalogue("prontera"),
        AskCatalogue("geffen"),
        AskNpc("guard"),
    ]


def test_a_catalogue_that_is_not_there_is_never_asked_for_again():
    agenda = settled()
    assert agenda.next(ZONES, (), 29.0) is None
    assert agenda.next(ZONES, (), 1e6) == AskEnvironment()


def test_npcs_never_asked_after_do_not_wait_for_their_pace():
    assert set(asked(settled(), ("a", "b", "c"), [1, 1.2, 1.4])) == {AskNpc("a"), AskNpc("b"), AskNpc("c")}


def test_each_leader_begins_with_others():
    town = tuple(f"npc-{number}" for number in range(100))
    first, second = (asked(settled(term=term), town, [1.0] * 20) for term in (7, 8))
    assert len(set(first) | set(second)) > 25


def test_then_whose_answer_is_oldest_at_an_even_pace():
    agenda = settled(npcs={"a": 3.0, "b": 1.0, "c": 2.0}, repeated=10.0)
    assert asked(agenda, ("a", "b", "c"), [10.9, 11, 11.5, 12, 13]) == [
        None,
        AskNpc("b"),
        None,
        AskNpc("c"),
        AskNpc("a"),
    ]


def test_nobody_is_asked_after_more_often_than_the_feed_tells():
    agenda = settled(npcs={"a": 10.0}, repeated=10.0)
    assert asked(agenda, ("a",), [14.9, 15]) == [None, AskNpc("a")]


def test_who_is_absent_is_asked_after_rarely_and_holds_up_nobody():
    agenda = settled(npcs={"ghost": 0.0, "a": 4.0}, absent={"ghost"}, repeated=4.0, environment=1e9)
    assert asked(agenda, ("ghost", "a"), [9, ABSENT_EVERY_S + 1, ABSENT_EVERY_S + 2]) == [
        AskNpc("a"),
        AskNpc("a"),
        AskNpc("ghost"),
    ]


def test_a_doubt_is_settled_before_anything_else():
    assert settled(doubted="a").next(ZONES, ("a",), 100.0) == AskHealth()


def test_who_is_named_no_more_is_new_when_named_again():
    agenda = settled(npcs={"a": 1.0, "b": 1.0}, absent={"a", "b"})
    agenda.keep(["b"])
    assert (agenda.npcs, agenda.absent) == ({"b": 1.0}, {"b"})


def _failed(times: int) -> Breaker:
    breaker = Breaker()
    for _ in range(times):
        breaker = breaker.failed(100.0)
    return breaker


@pytest.mark.parametrize(
    "failures, after, stand",
    [
        (0, 0.0, Stand.CLOSED),
        (OPENS_AFTER - 1, 0.0, Stand.CLOSED),
        (OPENS_AFTER, 0.0, Stand.OPEN),
        (OPENS_AFTER, FIRST_PAUSE_S, Stand.TRYING),
        (OPENS_AFTER + 1, FIRST_PAUSE_S, Stand.OPEN),
        (OPENS_AFTER + 1, 2 * FIRST_PAUSE_S, Stand.TRYING),
        (1000, LONGEST_PAUSE_S - 1, Stand.OPEN),
        (1000, LONGEST_PAUSE_S, Stand.TRYING),
    ],
)
def test_a_service_that_fails_is_left_alone_longer_each_time(failures: int, after: float, stand: Stand):
    assert _failed(failures).stand(100.0 + after) is stand


def test_a_service_that_says_it_is_well_is_believed_until_the_next_answer():
    told = _failed(OPENS_AFTER).says_healthy()
    assert told.stand(100.0 + FIRST_PAUSE_S) is Stand.CLOSED
    assert told.failed(200.0).stand(200.0 + FIRST_PAUSE_S) is Stand.OPEN


def test_an_outage_of_an_hour_meets_few_requests():
    now, breaker, tries = 0.0, _failed(OPENS_AFTER), [100.0]
    while now < 3600:
        now = breaker.until
        breaker = breaker.failed(now)
        tries.append(now)
    assert len(tries) < 40
    assert all(later > earlier for earlier, later in pairwise(tries))


@pytest.mark.parametrize("wish, stand", [(60.0, Stand.OPEN), (0.0, Stand.CLOSED)])
def test_the_pause_that_a_service_wishes_for_is_kept_at_the_first_failure(wish: float, stand: Stand):
    assert Breaker().failed(100.0, wish).stand(130.0) is stand


def test_no_wish_is_without_end():
    assert Breaker().failed(0.0, 1e9).stand(LONGEST_WISH_S) is Stand.CLOSED
