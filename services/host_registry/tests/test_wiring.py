"""We serve exactly what our contract publishes, and hear what we say we hear."""

from types import SimpleNamespace
from typing import Any, cast

from chassis.events import Consumers
from chassis.responder import Responder
from contracts import gateway, hosts, probes, sessions
from contracts.subjects import Rpc
from host_registry import handlers
from testkit.clock import ManualClock


class Recorder:
    """Stands in for the responder and for the consumers: remembers what is asked of them."""

    def __init__(self) -> None:
        self.answered: list[Rpc[Any, Any]] = []
        self.consumed: dict[str, str] = {}

    def answer(self, rpc: Rpc[Any, Any], _handler: object) -> None:
        self.answered.append(rpc)

    def consume(
        self, _stream: object, subject: str, _message: object, _handler: object, *, name: str, **_how: object
    ) -> None:
        self.consumed[name] = subject


class Anything(SimpleNamespace):
    """Has every method."""

    def __getattr__(self, name: str) -> object:
        return name


def test_exactly_the_requests_of_the_contract_are_answered_each_by_one_handler(clock: ManualClock) -> None:
    recorder, anything = Recorder(), cast("Any", Anything())
    responder = cast("Responder", recorder)
    handlers.answer_registration(responder, anything)
    handlers.answer_beats(responder, anything, clock)
    handlers.answer_questions(responder, anything, anything)
    handlers.answer_slots(responder, anything)
    handlers.answer_probers(responder, anything)
    handlers.answer_retelling(responder, anything)
    published = [rpc for rpc in (*vars(hosts).values(), *vars(probes).values()) if isinstance(rpc, Rpc)]
    assert sorted(rpc.subject for rpc in recorder.answered) == sorted(rpc.subject for rpc in published)


def test_sessions_and_gateways_are_heard() -> None:
    recorder, anything = Recorder(), cast("Any", Anything())
    consumers = cast("Consumers", recorder)
    handlers.hear_sessions(consumers, anything)
    handlers.hear_gateways(consumers, anything)
    handlers.hear_connections(consumers, anything, anything)
    assert recorder.consumed == {
        "sessions": sessions.SESSION_CREATED.wildcard.replace("*.created", ">"),
        "connected": gateway.PEER_CONNECTED.wildcard,
        "disconnected": gateway.PEER_DISCONNECTED.wildcard,
        "gateways": gateway.SESSIONS_ACTIVE.wildcard,
        "ice": gateway.ICE_REPORTED.wildcard,
    }
