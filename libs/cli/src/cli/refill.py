"""`p2p refill`: what a lost stream of events told is told again by those whose it was."""

from contracts.hosts import RETELL_HOSTS
from contracts.retelling import Retell, Retold
from contracts.sessions import RETELL_SESSIONS
from contracts.subjects import Rpc
from contracts.zones import RETELL_ZONES

from cli.answers import ANSWER_WITHIN, Asker, answers
from cli.reach import Where, reaching

OWNERS: dict[str, Rpc[Retell, Retold]] = {"zones": RETELL_ZONES, "hosts": RETELL_HOSTS, "sessions": RETELL_SESSIONS}
"""Sessions last: they speak of the others."""


@reaching
def refill(where: Where) -> None:
    """Have how zones, hosts and sessions stand told anew, after the stream EVENTS was lost."""
    where.entrance()  # only NATS has an answer to this
    told = answers(where, refilled)
    print("told anew: " + ", ".join(f"{number} facts of {what}" for what, number in told.items()))


async def refilled(suite: Asker) -> dict[str, int]:
    """How many facts of what were told, whatever the pages they came in."""
    return {what: await _retold(suite, rpc) for what, rpc in OWNERS.items()}


async def _retold(suite: Asker, rpc: Rpc[Retell, Retold]) -> int:
    facts, after = 0, 0
    while True:
        page = await suite.ask(rpc, Retell(after=after), ANSWER_WITHIN)
        facts += page.facts
        if page.after is None:
            return facts
        after = page.after
