"""Every request and subject of the catalogue has who answers or tells it, and who asks or hears it."""

import pkgutil
from importlib import import_module
from typing import Any

import contracts
import pytest
from contracts import gateway, grants, hosts, jobs, npcs, zones
from contracts.credentials import inbox_prefix, user_of
from contracts.grants import GRANTS, OUTSIDE, PROCESSES, Grant, permissions
from contracts.subjects import Rpc, Subject

TOLD_BY_SEVERAL = {
    jobs.JOB_DONE: "whoever did the work says how it went",
    jobs.JOB_FAILED: "whoever did the work says how it went",
}
TOLD_FROM_OUTSIDE = {hosts.HEARTBEAT: set(), npcs.NPC_STATE: {"scheduler"}, npcs.ENVIRONMENT: {"scheduler"}}
"""And by these of our own, for programs that can't speak NATS."""
ASKED_BY_NONE_YET = {hosts.RELEASE_SLOT: "an operator frees a slot by hand"}


def _catalogue(kind: type) -> list[Any]:
    modules = [import_module(f"contracts.{module.name}") for module in pkgutil.iter_modules(contracts.__path__)]
    things = {name: thing for module in modules for name, thing in vars(module).items() if type(thing) is kind}
    return [pytest.param(thing, id=name) for name, thing in things.items()]


def _covers(pattern: str, subject: str) -> bool:
    wanted, given = pattern.split("."), subject.split(".")
    for index, token in enumerate(wanted):
        if token == ">":
            return len(given) > index
        if index >= len(given) or (token not in ("*", given[index])):
            return False
    return len(wanted) == len(given)


def _who(side: str, subject: str, among: tuple[Grant, ...] = (*PROCESSES, *OUTSIDE)) -> set[str]:
    """Whose grant covers the subject: "publish", "subscribe", or "consume" by a filter."""
    found = set()
    for grant in among:
        allowed = permissions(grant)
        patterns = allowed.publish if side != "subscribe" else allowed.subscribe
        if side == "consume":
            patterns = tuple(
                pattern.split(".", 6)[6]
                for pattern in patterns
                if pattern.startswith("$JS.API.CONSUMER.CREATE.") and pattern.count(".") > 5
            )
        if any(_covers(pattern.replace(grants.OWN_ZONES, "*"), subject) for pattern in patterns):
            found.add(grant.name)
    return found


@pytest.mark.parametrize("rpc", _catalogue(Rpc))
def test_each_request_is_answered_by_one_process_and_asked_by_some(rpc: Rpc[Any, Any]) -> None:
    answering = _who("subscribe", rpc.subject, PROCESSES)
    assert len(answering) == 1
    asking = _who("publish", rpc.subject, PROCESSES)
    assert asking - answering or rpc in ASKED_BY_NONE_YET or _who("publish", rpc.subject, OUTSIDE)


@pytest.mark.parametrize("subject", _catalogue(Subject))
def test_each_subject_is_told_by_one_process_and_heard_by_some(subject: Subject[Any]) -> None:
    telling = _who("publish", subject.wildcard, PROCESSES)
    if subject in TOLD_FROM_OUTSIDE:
        assert telling == TOLD_FROM_OUTSIDE[subject]
        assert _who("publish", subject.wildcard, OUTSIDE)
    else:
        assert len(telling) == 1 or subject in TOLD_BY_SEVERAL
    assert _who("subscribe", subject.wildcard) | _who("consume", subject.wildcard)


def test_nobody_outside_may_tell_what_a_process_owns() -> None:
    owned = {param.values[0].wildcard for param in _catalogue(Subject) if "p2p.events." in param.values[0].pattern} | {
        npcs.NPC_FEED.wildcard,
        gateway.DELIVER.wildcard,
        jobs.JOB_DUE.wildcard,
    }
    assert {subject for subject in owned if _who("publish", subject, OUTSIDE)} == set()


def test_nobody_outside_may_answer_a_request() -> None:
    requests = {param.values[0].subject for param in _catalogue(Rpc)}
    assert {subject for subject in requests if _who("subscribe", subject, OUTSIDE)} <= requests
    assert not any(permissions(grant).respond for grant in OUTSIDE)


def test_each_hears_the_answers_to_its_own_questions_alone() -> None:
    for grant in GRANTS.values():
        inboxes = [subject for subject in permissions(grant).subscribe if subject.startswith("_INBOX")]
        assert inboxes == [inbox_prefix(grants.OWN_NAME) + ".>"]
        assert not {">", "*", "_INBOX.>"} & set(permissions(grant).subscribe)


def test_an_ai_server_is_let_into_its_own_zones() -> None:
    allowed = permissions(grants.AI_SERVER)
    assert allowed.publish == ("p2p.npc.{{tag(zone)}}.*", "p2p.environment.{{tag(zone)}}")
    assert allowed.subscribe == ("p2p.npcevents.{{tag(zone)}}.*", "_INBOX_{{name()}}.>")


def test_a_process_makes_consumers_of_what_its_grant_names() -> None:
    publish = permissions(grants.ZONE_MANAGER).publish
    assert "$JS.API.CONSUMER.CREATE.EVENTS.*.p2p.events.sessions.>" in publish
    assert not [subject for subject in publish if "DELETE" in subject or "PURGE" in subject]
    assert zones.PLACE.subject not in publish


@pytest.mark.parametrize(
    "text, words",
    [
        ("", "no user JWT"),
        ("-----BEGIN NATS USER JWT-----\nnonsense\n------END", "cannot be read"),
        ("-----BEGIN NATS USER JWT-----\na.e30.c\n------END", "cannot be read"),
        ("-----BEGIN NATS USER JWT-----\na.eyJuYW1lIjoiYS4-In0.c\n------END", "letters, digits"),
    ],
)
def test_what_is_no_credentials_file_is_said_in_words(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        user_of(text)


def test_credentials_name_their_user() -> None:
    assert user_of("-----BEGIN NATS USER JWT-----\na.eyJuYW1lIjoiZ2FtZS0xIn0.c\n------END NATS") == "game-1"
