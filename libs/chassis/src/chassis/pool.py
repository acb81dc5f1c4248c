"""PostgreSQL connections lent one at a time, the most recently used first.

asyncpg's own pool spends a task, a shield and a proxy on each use, twice what the statement itself costs.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import asyncpg

CLOSE_WITHIN_S = 2.0


class Pool:
    """At most `size` connections, made when needed; one that broke is replaced when next needed."""

    def __init__(
        self, connect: Callable[[], Awaitable[asyncpg.Connection]], *, size: int, lend_within_s: float
    ) -> None:
        self._connect = connect
        self._size = size
        self._lend_within_s = lend_within_s
        self._open = 0
        self._closed = False
        self._idle: list[asyncpg.Connection] = []
        self._waiting: deque[asyncio.Future[asyncpg.Connection | None]] = deque()

    @property
    def opened(self) -> int:
        """Connections there are, lent or idle."""
        return self._open

    @property
    def waiting(self) -> int:
        """How many wait for one."""
        return sum(not turn.done() for turn in self._waiting)

    @asynccontextmanager
    async def lent(self) -> AsyncIterator[asyncpg.Connection]:
        """Lend a connection for the length of the block; TimeoutError when none is free in time."""
        connection = await self.take()
        try:
            yield connection
        except (asyncpg.PostgresError, asyncpg.InterfaceError):
            self.give_back(connection)
            raise
        except BaseException:
            connection.terminate()  # it may be in the middle of anything
            self.give_back(connection)
            raise
        self.give_back(connection)

    async def take(self) -> asyncpg.Connection:
        """Take a connection; it must be given back."""
        while True:
            while self._idle:
                connection = self._idle.pop()
                if not connection.is_closed():
                    return connection
                self._open -= 1
            if self._open < self._size:
                return await self._another()
            handed = await self._wait()
            if handed is not None:
                return handed

    def give_back(self, connection: asyncpg.Connection) -> None:
        """Give a connection back; one that was closed meanwhile makes room for another."""
        if self._closed:
            connection.terminate()
        if connection.is_closed():
            self._open -= 1
            self._hand_on(None)
        elif not self._hand_on(connection):
            self._idle.append(connection)

    async def close(self) -> None:
        """Close what is idle, and what is lent out when it comes back."""
        self._closed = True
        async with asyncio.TaskGroup() as group:
            while self._idle:
                group.create_task(_closed(self._idle.pop()))

    async def _another(self) -> asyncpg.Connection:
        self._open += 1
        try:
            return await self._connect()
        except BaseException:
            self._open -= 1
            self._hand_on(None)
            raise

    async def _wait(self) -> asyncpg.Connection | None:
        """Wait for a connection, or for room to make one (None)."""
        turn: asyncio.Future[asyncpg.Connection | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(self._lend_within_s):
                return await turn
        except BaseException:
            if turn.done() and not turn.cancelled() and (connection := turn.result()) is not None:
                self.give_back(connection)
            raise

    def _hand_on(self, connection: asyncpg.Connection | None) -> bool:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(connection)
                return True
        return False


async def _closed(connection: asyncpg.Connection) -> None:
    try:
        await connection.close(timeout=CLOSE_WITHIN_S)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        connection.terminate()
