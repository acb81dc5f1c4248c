"""Which due time of each job was ticked last, in the key-value bucket: what a new leader begins from."""

from datetime import datetime

from contracts.jobs import JobName
from pydantic import AwareDatetime, TypeAdapter, ValidationError

from scheduler.bucket import ABSENT
from scheduler.leadership import Keys

_MOMENT = TypeAdapter(AwareDatetime)


class TickBook:
    """What was ticked; an entry is written only by whoever has read the one before it."""

    def __init__(self, bucket: Keys) -> None:
        self._bucket = bucket
        self._revisions: dict[JobName, int] = {}

    async def read(self) -> dict[JobName, datetime]:
        """Give the due time ticked last, for each job that has one."""
        ticked: dict[JobName, datetime] = {}
        for job in JobName:
            entry = await self._bucket.get(_key(job))
            self._revisions[job] = entry.revision if entry else ABSENT
            if entry and (due_at := _decoded(entry.value)):
                ticked[job] = due_at
        return ticked

    async def note(self, job: JobName, due_at: datetime) -> None:
        """Note a tick; MovedError when somebody else has noted one since `read`."""
        self._revisions[job] = await self._bucket.put(
            _key(job), due_at.isoformat().encode(), after=self._revisions.get(job, ABSENT)
        )


def _key(job: JobName) -> str:
    return f"ticked.{job}"


def _decoded(value: bytes) -> datetime | None:
    try:
        return _MOMENT.validate_python(value.decode())
    except (ValidationError, UnicodeDecodeError):  # written by hand; the next tick puts it right
        return None
