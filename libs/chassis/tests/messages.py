"""A request and a fact to test with."""

from datetime import UTC, datetime

from chassis.ids import new_event_id
from chassis.refusals import ServiceError
from contracts.refusals import Code
from contracts.subjects import Fact, Message, Rpc, Subject


class Double(Message):
    number: int


class Doubled(Message):
    number: int
    by: str = ""


DOUBLE = Rpc("p2p.test.double", Double, Doubled)
OTHER = Rpc("p2p.test.other", Double, Doubled)


class FullError(ServiceError):
    code = Code.SESSION_FULL


class Moved(Fact):
    name: str


MOVED = Subject("p2p.events.hosts.{host_id}.moved", Moved)


def moved(revision: int, name: str = "somewhere") -> Moved:
    return Moved(event_id=new_event_id(), occurred_at=datetime.now(UTC), revision=revision, name=name)
