"""Subjects say who owns them, and streams do not overlap."""

from contracts import gateway, hosts, jobs, npcs, sessions, streams, zones
from contracts.subjects import Rpc, Subject

OWNERS = {hosts: "hosts", zones: "zones", sessions: "sessions", jobs: "jobs"}


def _all(kind: type) -> list[tuple[object, str, object]]:
    return [
        (module, name, thing)
        for module in (hosts, zones, sessions, jobs, gateway, npcs)
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


def test_every_fact_lies_in_the_events_stream_and_nowhere_else() -> None:
    for _, name, thing in _all(Subject):
        assert isinstance(thing, Subject)
        if thing.pattern.startswith("p2p.events."):
            holders = [stream.name for stream in streams.ALL if _holds(stream, thing.wildcard)]
            assert holders == ["EVENTS"], name


def test_the_subjects_of_two_streams_do_not_overlap() -> None:
    subjects = [(stream.name, subject) for stream in streams.ALL for subject in stream.subjects]
    for name, subject in subjects:
        for other, against in subjects:
            if name != other:
                assert not _overlap(subject.split("."), against.split(".")), (subject, against)


def _holds(stream: streams.Stream, subject: str) -> bool:
    return any(_overlap(one.split("."), subject.split(".")) for one in stream.subjects)


def _overlap(left: list[str], right: list[str]) -> bool:
    if not left or not right:
        return left == right
    if ">" in (left[0], right[0]):
        return True
    return ("*" in (left[0], right[0]) or left[0] == right[0]) and _overlap(left[1:], right[1:])
