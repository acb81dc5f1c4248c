"""scheduler answers exactly what its contract publishes."""

from contracts import jobs
from contracts.subjects import Rpc
from scheduler.handlers import answer_jobs


class Answers:
    """Stands in for chassis' Responder, and notes what it is given."""

    def __init__(self) -> None:
        self.subjects: list[str] = []

    def answer(self, rpc: Rpc, handler: object) -> None:
        self.subjects.append(rpc.subject)


def test_every_request_of_the_contract_has_exactly_one_handler():
    published = [rpc.subject for rpc in vars(jobs).values() if isinstance(rpc, Rpc)]
    answers = Answers()
    answer_jobs(answers, *[Anything()] * 2)
    assert sorted(answers.subjects) == sorted(published)


class Anything:
    def __getattr__(self, name: str) -> object:
        return self
