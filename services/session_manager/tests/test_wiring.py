"""We serve exactly what our contract publishes, and hear exactly what others announce."""

from typing import Any

from contracts import sessions as contract
from contracts.jobs import JobName
from contracts.streams import EVENTS, JOBS
from contracts.subjects import Rpc
from session_manager import handlers
from session_manager.handlers import Commands, Questions


class Recorder:
    """Stands in for the responder and for the consumers."""

    def __init__(self):
        self.answered = []
        self.heard = {}

    def answer(self, rpc, handler):
        self.answered.append(rpc)

    def consume(self, stream, subject, message, handler, *, name):
        self.heard[name] = (stream, subject, message)


class Anything:
    """Stands in for the use cases, of which nothing is called."""

    def __getattr__(self, name):
        return name


ANYTHING: Any = Anything()


def test_every_published_request_has_exactly_one_handler():
    recorder: Any = Recorder()
    handlers.answer_commands(recorder, Commands(ANYTHING, ANYTHING, ANYTHING, ANYTHING))
    handlers.answer_questions(recorder, Questions(ANYTHING))
    handlers.answer_checkpoints(recorder, ANYTHING)
    handlers.answer_retelling(recorder, ANYTHING)

    published = [rpc.subject for rpc in vars(contract).values() if isinstance(rpc, Rpc)]
    assert sorted(rpc.subject for rpc in recorder.answered) == sorted(published)


def test_we_hear_hosts_zones_gateways_and_the_scheduler():
    recorder: Any = Recorder()
    handlers.hear_hosts(recorder, ANYTHING, ANYTHING)
    handlers.hear_gateways(recorder, ANYTHING, ANYTHING)
    handlers.hear_zones(recorder, ANYTHING)
    handlers.hear_ticks(recorder, ANYTHING)

    assert {subject for stream, subject, _ in recorder.heard.values() if stream is EVENTS} == {
        "p2p.events.hosts.*.offline",
        "p2p.events.hosts.*.draining",
        "p2p.events.hosts.*.deleted",
        "p2p.events.hosts.*.online",
        "p2p.events.hosts.*.registered",
        "p2p.events.gateway.*.entered",
        "p2p.events.gateway.*.disconnected",
        "p2p.events.gateway.*.active",
        "p2p.events.gateway.*.ice",
        "p2p.events.zones.>",
    }
    assert {subject for stream, subject, _ in recorder.heard.values() if stream is JOBS} == {
        f"p2p.jobs.{job}.due" for job in (JobName.SESSION_HEALTH, JobName.SESSION_CLEANUP)
    }
