"""Keys in a NATS key-value bucket that only they change who know the present revision."""

from typing import NamedTuple

import structlog
from chassis.bus import Bus
from chassis.refusals import UnavailableError
from nats.errors import Error as NatsError
from nats.js.errors import BucketNotFoundError, KeyNotFoundError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue

log = structlog.stdlib.get_logger()

NAME = "scheduler"

ANSWER_WITHIN_S = 1.0
"""Less than the shortest time between a lease's renewal and its end; a later answer helps nobody."""

ABSENT = 0
"""The revision of a key that is not there."""


class MovedError(Exception):
    """The key has another revision by now."""


class Entry(NamedTuple):
    """A key's value, as of one revision."""

    value: bytes
    revision: int


class Bucket:
    """The bucket, made when it is missing."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._keys: KeyValue | None = None

    async def get(self, key: str) -> Entry | None:
        try:
            keys = await self._open()
            found = await keys.get(key)
        except KeyNotFoundError:
            return None
        except NatsError as error:
            raise self._away() from error
        # The server gives every entry its revision; only the library's type does not say so.
        return Entry(found.value or b"", found.revision or ABSENT)

    async def put(self, key: str, value: bytes, *, after: int) -> int:
        """Write if `after` is still the key's revision, and give the new one; MovedError if it is not.

        When UnavailableError is raised, the value may have been written all the same, now or a little later.
        """
        try:
            keys = await self._open()
            return await (keys.create(key, value) if after == ABSENT else keys.update(key, value, last=after))
        except KeyWrongLastSequenceError as error:
            raise MovedError(key) from error
        except NatsError as error:
            raise self._away() from error

    async def _open(self) -> KeyValue:
        if not self._bus.connected:  # what is published now would be sent later, when it is no longer true
            raise UnavailableError("The message bus is away.")
        if self._keys is None:
            stream = self._bus.client.jetstream(timeout=ANSWER_WITHIN_S)
            try:
                self._keys = await stream.key_value(NAME)  # as whoever runs the cluster has it by now
            except BucketNotFoundError:
                self._keys = await stream.create_key_value(
                    bucket=NAME, description="The lease and the book of ticks.", replicas=self._bus.replicas
                )
        return self._keys

    def _away(self) -> UnavailableError:
        self._keys = None  # whatever is wrong, looking for the bucket again finds out
        return UnavailableError("The key-value bucket is away.")
