"""Subjects say who owns them, and streams do not overlap."""

import re
from typing import Any

import pytest
from contracts import access, catalogue, gateway, hosts, jobs, npcs, sessions, streams, zones
from contracts.closing import CLOSINGS, CloseCode
from contracts.refusals import MEANINGS, TRY_AGAIN, Code
from contracts.subjects import Rpc, Subject

OWNERS = {hosts: "hosts", zones: "zones", sessions: "sessions", jobs: "jobs", access: "access"}


def _all(kind: type) -> list[tuple[object, str, object]]:
    return [
        (module, name, thing)
        for module in (access, hosts, zones, sessions, jobs, gateway, npcs)
        for name, thing in vars(module).items()
        if isinstance(thing, kind)
    ]


def test_every_request_is_named_after_its_owner_and_once() -> None:
    subjects = [thing.subject for _, _, thing in _all(Rpc) if isinstance(thing, Rpc)]
    assert len(subjects) == len(set(subjects))
    for module, owner in OWNERS.items():
        for name, thing in vars(module).items():
            if isinstance(thing, Rpc) and thing.question.__module__ == module.__name__:
                assert thing.subject.startswith(f"p2p.{owner}."), name


def test_every_fact_lies_in_the_events_stream_and_nowhere_else_but_audits_in_their_own() -> None:
    for _, name, thing in _all(Subject):
        assert isinstance(thing, Subject)
        if thing.pattern.startswith("p2p.events."):
            holders = [stream.name for stream in streams.ALL if _holds(stream, thing.wildcard)]
            assert holders == (["AUDIT"] if thing.body is access.AuditFact else ["EVENTS"]), name


def test_the_subjects_of_two_streams_do_not_overlap() -> None:
    subjects = [(stream.name, subject) for stream in streams.ALL for subject in stream.subjects]
    for name, subject in subjects:
        for other, against in subjects:
            if name != other:
                assert not _overlap(subject.split("."), against.split(".")), (subject, against)


@pytest.mark.parametrize(
    ("subject", "stream"),
    [
        (hosts.HOST_ONLINE, streams.EVENTS),
        (access.AUDITED, streams.AUDIT),
        (jobs.JOB_DUE, streams.JOBS),
        (npcs.NPC_STATE, streams.NPC),
        (npcs.ENVIRONMENT, streams.NPC),
        (npcs.NPC_FEED, None),
        (npcs.FEED_WANTED, None),
        (hosts.HEARTBEAT, None),
    ],
)
def test_the_catalogue_knows_what_is_kept_where(subject: Subject[Any], stream: streams.Stream | None) -> None:
    assert catalogue.stream_of(subject) is stream


def test_an_empty_identifier_makes_no_subject() -> None:
    with pytest.raises(ValueError, match="empty"):
        hosts.HEARTBEAT.of(host_id="")


def test_a_subject_is_narrowed_by_some_of_its_identifiers() -> None:
    assert npcs.NPC_EVENT.where(zone_id="1@tower") == "p2p.npcevents.1%40tower.*"
    assert npcs.NPC_EVENT.where() == npcs.NPC_EVENT.wildcard == "p2p.npcevents.*.*"


@pytest.mark.parametrize(("identifiers", "why"), [({"host_id": "h"}, "has no host_id"), ({"zone_id": ""}, "empty")])
def test_a_subject_is_narrowed_by_nothing_else(identifiers: dict[str, str], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        npcs.NPC_EVENT.where(**identifiers)


def test_every_code_has_a_meaning() -> None:
    assert MEANINGS.keys() == set(Code)


def test_every_way_to_be_turned_away_says_whether_to_try_again():
    assert TRY_AGAIN.keys() == set(Code)
    assert CLOSINGS.keys() == set(CloseCode)
    advice = [*TRY_AGAIN.values(), *(closing.try_again for closing in CLOSINGS.values())]
    assert {re.split(r"\W", each)[0] for each in advice} == {"Yes", "No", "Later"}


def _holds(stream: streams.Stream, subject: str) -> bool:
    return any(_overlap(one.split("."), subject.split(".")) for one in stream.subjects)


def _overlap(left: list[str], right: list[str]) -> bool:
    if not left or not right:
        return left == right
    if ">" in (left[0], right[0]):
        return True
    return ("*" in (left[0], right[0]) or left[0] == right[0]) and _overlap(left[1:], right[1:])
