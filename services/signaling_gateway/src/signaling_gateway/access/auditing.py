"""The record of who did what: facts for the outbox, in the transaction of a change, else soon after what was done."""

import hashlib
from collections import deque
from datetime import timedelta

import structlog
from chassis.clock import Clock
from chassis.ids import new_event_id
from chassis.outbox import OutboxRow, outbox_row
from contracts.access import AUDITED, AuditAction, AuditFact, Role
from contracts.identifiers import to_token

from signaling_gateway.access.identity import ANYBODY, Identity
from signaling_gateway.access.refusal_tally import RefusalTally
from signaling_gateway.access.store import AccessStore

log = structlog.stdlib.get_logger()

WRITE_EVERY = timedelta(seconds=0.5)

MOST_WAITING = 10_000
"""While PostgreSQL is away; what is done meanwhile is little, as little can be done."""

MOST_AT_ONCE = 500

LONGEST_TOKEN = 192
"""Bytes of a name in the subject; the fact itself has it whole."""

MANY = "(many)"


class Audit:
    """Makes records, and keeps those of refusals few."""

    def __init__(self, store: AccessStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._waiting: deque[OutboxRow] = deque(maxlen=MOST_WAITING)
        self._tally = RefusalTally(clock.now())

    def row(
        self, action: AuditAction, by: Identity, target: str | None = None, detail: str | None = None, count: int = 1
    ) -> OutboxRow:
        """Make the record of a change, to be committed with it."""
        return self._row(action, by.role, by.name, target, detail, count)

    def done(self, action: AuditAction, by: Identity, target: str) -> None:
        """Put on record what somebody has had another service do."""
        self._waiting.append(self.row(action, by, target))

    def refused(self, action: AuditAction, by: Identity, address: str, target: str, why: str) -> None:
        """Put a refusal on record, if it is among the first of its kind."""
        name = by.name if by.role is not Role.ANONYMOUS else address
        if self._tally.tells(action, name):
            self._waiting.append(self._row(action, by.role, name, target, why, 1))

    async def write(self) -> None:
        """Bring what waits into the outbox; the work of a loop."""
        for action, count in self._tally.close(self._clock.now()).items():
            self._waiting.append(self._row(action, Role.ANONYMOUS, MANY, None, "counted, not told one by one", count))
        while self._waiting:
            rows = [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST_AT_ONCE))]
            try:
                await self._store.tell(rows)
            except BaseException:  # cancelled too: they wait for the next write
                self._waiting.extendleft(reversed(rows))
                raise

    def _row(
        self, action: AuditAction, role: Role, name: str, target: str | None, detail: str | None, count: int
    ) -> OutboxRow:
        fact = AuditFact(
            event_id=new_event_id(),
            occurred_at=self._clock.now(),
            revision=1,
            action=action,
            role=role,
            name=name,
            target=target,
            detail=detail,
            count=count,
        )
        return outbox_row(AUDITED.of(who=_short(name), what=action), fact)


def _short(name: str) -> str:
    if not name:  # who came by a path that has no address
        return ANYBODY.name
    if len(to_token(name)) <= LONGEST_TOKEN:
        return name
    return f"sha256-{hashlib.sha256(name.encode()).hexdigest()}"
