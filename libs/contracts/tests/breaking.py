"""What a change of contracts breaks: pure, from one state of what is published to another, as `publishing` draws them.

Programs of before and of now run side by side: for minutes while a suite is updated, for years where they are other
people's. So whoever tells a message must be understood by whoever hears it, in both directions of time.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from libs.contracts.tests.narrowing import narrows

Json = dict[str, Any]

BESIDE = "Leave it as it was, and publish what is new beside it, under a name of its own."


@dataclass(frozen=True)
class Break:
    """One thing that programs of before, or of now, trip over."""

    what: str
    whom: str
    instead: str

    def __str__(self) -> str:
        return f"{self.what}\n  breaks: {self.whom}\n  instead: {self.instead}"


@dataclass
class Speakers:
    """Who tells a message, and who hears it; of one that is part of others, theirs."""

    tell: set[str] = field(default_factory=set)
    hear: set[str] = field(default_factory=set)


def breaks(before: Json, now: Json) -> Iterator[Break]:
    """Find all that breaks; nothing is found where only optional fields, messages and subjects have come."""
    yield from _of_requests(before["requests"], now["requests"])
    yield from _of_subjects(before["subjects"], now["subjects"])
    yield from _of_frames(before["frames"], now["frames"])
    speakers = _speakers(before)
    for name, message in before["messages"].items():
        if name in now["messages"]:
            yield from _of_message(name, message, now["messages"][name], speakers[name])
        else:
            yield Break(
                f"The message {name} is gone.", f"whoever validates by /schemas/{name}.json.", "Leave it published."
            )


def _of_requests(before: Json, now: Json) -> Iterator[Break]:
    for subject, request in before.items():
        if subject not in now:
            yield Break(
                f"The request {subject} is gone.",
                f"{_named(_with_rest(request['asked_by']))}: nobody answers any more.",
                f"Go on answering {subject}, from what takes its place; end that when nobody asks it any more.",
            )
            continue
        for part, whom in (("question", request["answered_by"]), ("answer", _with_rest(request["asked_by"]))):
            if (then := request[part]) != (other := now[subject][part]):
                yield Break(
                    f"The {part} of {subject} is {other} rather than {then}.",
                    f"{_named(whom)}: what comes is not what is expected.",
                    f"Let {subject} be, and publish another subject beside it.",
                )


def _of_subjects(before: Json, now: Json) -> Iterator[Break]:
    for pattern, subject in before.items():
        if pattern not in now:
            hear, tell = _named(subject["heard_by"]), _named(subject["told_by"])
            yield Break(
                f"The subject {pattern} is gone.",
                f"{hear}, who hear nothing there; {tell}, whom nobody hears.",
                f"Go on telling {pattern} beside what takes its place; end that when nobody listens any more.",
            )
        elif (then := subject["body"]) != (other := now[pattern]["body"]):
            yield Break(
                f"On {pattern} there is {other} rather than {then}.",
                f"{_named(subject['heard_by'])}: what comes is not what is expected.",
                f"Let {pattern} be, and publish another subject beside it.",
            )


def _of_frames(before: Json, now: Json) -> Iterator[Break]:
    for frame in before.keys() - now.keys():
        spoken = before[frame]
        yield Break(
            f"The frame {frame} is in no dialect any more.",
            f"{_named(spoken['told_by'])} and {_named(spoken['heard_by'])}: what one tells the other does not know.",
            "Leave it in its dialect beside what takes its place.",
        )


def _of_message(name: str, before: Json, now: Json, speakers: Speakers) -> Iterator[Break]:
    then, fields = before["fields"], now["fields"]
    was, must = set(before["required"]), set(now["required"])
    tell, hear = _named(_with_rest(speakers.tell)), _named(_with_rest(speakers.hear))
    for gone in sorted(then.keys() - fields.keys()):
        like = [new for new in fields.keys() - then.keys() if fields[new] == then[gone]]
        renamed = f"; {' or '.join(sorted(like))} looks like it under another name" if like else ""
        loss = "refuse it without the field" if gone in was else "miss what it said"
        yield Break(
            f"{name}.{gone} is gone{renamed}.",
            f"{hear}, who {loss}; {tell}, whose value is not heard any more.",
            f"Leave {gone} where it is and tell it as before; what takes its place comes beside it, optional.",
        )
    for new in sorted(must - then.keys()):
        yield Break(
            f"{name}.{new} is new and required.",
            f"{tell} of before, who do not tell it and are refused.",
            f"Give {new} a default: what is new is optional.",
        )
    for field_ in sorted(then.keys() & fields.keys()):
        one = f"{name}.{field_}"
        if field_ in must - was:
            yield Break(
                f"{one} is required now.",
                f"{tell} of before, who may leave it out and are refused.",
                f"Leave {field_} optional, and refuse where it matters, in the owner's words.",
            )
        if field_ in was - must:
            yield Break(
                f"{one} may be absent now.",
                f"{hear} of before, who refuse it without the field.",
                f"Always tell {field_}.",
            )
        if why := narrows(then[field_], fields[field_]):
            yield Break(f"{one} is narrower: {why}.", f"{tell} of before, whose values are refused.", BESIDE)
        if why := narrows(fields[field_], then[field_], bounds=False):
            yield Break(f"{one} is wider: {why}.", f"{hear} of before, who refuse what they do not know.", BESIDE)


def _speakers(state: Json) -> Mapping[str, Speakers]:
    found: dict[str, Speakers] = defaultdict(Speakers)
    for request in state["requests"].values():
        _speak(state, found, request["question"], request["asked_by"], request["answered_by"])
        _speak(state, found, request["answer"], request["answered_by"], request["asked_by"])
    for subject in state["subjects"].values():
        _speak(state, found, subject["body"], subject["told_by"], subject["heard_by"])
    for frame, spoken in state["frames"].items():
        _speak(state, found, frame, spoken["told_by"], spoken["heard_by"])
    return found


def _speak(state: Json, found: Mapping[str, Speakers], name: str, tell: Iterable[str], hear: Iterable[str]) -> None:
    known = found[name]
    if known.tell >= set(tell) and known.hear >= set(hear):
        return  # a message may be part of itself
    known.tell |= set(tell)
    known.hear |= set(hear)
    for part in _references(state["messages"].get(name, {}).get("fields", {})):
        _speak(state, found, part, known.tell, known.hear)


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, list):
        for each in schema:
            yield from _references(each)
    elif isinstance(schema, dict):
        for word, about in schema.items():
            if word == "$ref" and isinstance(about, str):
                yield about
            else:
                yield from _references(about)


def _with_rest(names: Iterable[str]) -> set[str]:
    """Whoever speaks to NATS through a gateway: what it asks and hears is what REST is told."""
    return {*names} | ({"REST clients"} if "signaling_gateway" in names else set())


def _named(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "whoever speaks it"
