"""`p2p refill` goes on until each owner has told all that it has."""

from collections.abc import Mapping
from datetime import timedelta

from cli.answers import Question, Reply
from cli.refill import refilled
from contracts.retelling import Retold
from contracts.subjects import Rpc


class Owners:
    """Answers page by page, and keeps what it was asked in order."""

    def __init__(self, pages: Mapping[str, Mapping[int, Retold]]) -> None:
        self._pages = pages
        self.asked: list[tuple[str, int]] = []

    async def ask(self, rpc: Rpc[Question, Reply], question: Question, within: timedelta) -> Reply:
        after = question.model_dump()["after"]
        self.asked.append((rpc.subject, after))
        return rpc.answer.model_validate(self._pages[rpc.subject][after].model_dump())


async def test_every_page_is_asked_for_in_order_and_sessions_are_told_last():
    owners = Owners(
        {
            "p2p.zones.retell": {0: Retold(facts=0)},
            "p2p.hosts.retell": {0: Retold(facts=500, after=812), 812: Retold(facts=7)},
            "p2p.sessions.retell": {0: Retold(facts=400, after=9), 9: Retold(facts=2, after=11), 11: Retold(facts=0)},
        }
    )

    assert await refilled(owners) == {"zones": 0, "hosts": 507, "sessions": 402}
    assert owners.asked == [
        ("p2p.zones.retell", 0),
        ("p2p.hosts.retell", 0),
        ("p2p.hosts.retell", 812),
        ("p2p.sessions.retell", 0),
        ("p2p.sessions.retell", 9),
        ("p2p.sessions.retell", 11),
    ]
