"""Which gateway holds whom, in Redis: only what may be lost, and only as true as its gateway is alive.

`peer:<peer>` and the fields of `room:<room>` hold `<connection> <gateway>`; a connection's name is a UUIDv7, so of two
the greater is the newer. They count while `gateway:<gateway>` is there, which each gateway keeps alive for itself; a
gateway's name is new at each start, so what a dead one left behind never comes to life again.
"""

import time
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from chassis.redis import TracedRedis
from chassis.refusals import ServiceError, UnavailableError
from contracts.refusals import Code

GATEWAY_LIVES = timedelta(seconds=10)
"""A killed gateway's peers look alive for this long; it renews itself every third of it."""

ENTRY_LIVES = timedelta(minutes=3)
"""Renewed every third of it; ends what gateways that were killed left behind."""

ROOM_LIMIT = 1000
"""Members of an ad-hoc room: each arrival is told to every one of them."""

GONE_FOR_S = 60
"""How long a seat whose socket went is remembered as empty: twice the grace it has to come back."""

MAX_OWED = 100_000
"""What is taken back while Redis is away; more sockets than that no gateway loses in one outage."""

PLAYER = "p:"
HOST = "h:"
GONE = "-"

_CLAIM = """
local held = redis.call('GET', KEYS[1])
if held and held > ARGV[1] then return held end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
return held
"""
_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"
_ENTER = """
if tonumber(ARGV[4]) > 0 and redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0
   and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[4]) then return {} end
local held = redis.call('HGET', KEYS[1], ARGV[1])
if held and held > ARGV[2] then return redis.call('HGETALL', KEYS[1]) end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[3])
return redis.call('HGETALL', KEYS[1])
"""
_RENEW_MEMBER = """
local held = redis.call('HGET', KEYS[1], ARGV[1])
if held and held > ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 1
"""
_LEAVE = """
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return end
if ARGV[3] == '' then redis.call('HDEL', KEYS[1], ARGV[1]) else redis.call('HSET', KEYS[1], ARGV[1], ARGV[3]) end
"""

_BURY = "redis.call('DEL', KEYS[1])"

_ENTRY_S = int(ENTRY_LIVES.total_seconds())


class RoomFullError(ServiceError):
    """An ad-hoc room has as many members as one may have."""

    code = Code.SESSION_FULL


@dataclass(frozen=True, slots=True)
class Mark:
    """A connection and the gateway that holds it."""

    connection_id: str
    gateway_id: str

    def __str__(self) -> str:
        return f"{self.connection_id} {self.gateway_id}"

    @classmethod
    def read(cls, text: str) -> "Mark":
        connection_id, _, gateway_id = text.partition(" ")
        return cls(connection_id, gateway_id)


@dataclass(frozen=True, slots=True)
class Listing:
    """Who is in a room."""

    players: Mapping[str, Mark]
    """In the order of their connections."""
    hosts: Mapping[str, Mark]
    gone: frozenset[str]
    """Players whose seats are kept while they are away."""

    def host(self, host_peer_id: str | None) -> Mark | None:
        return self.hosts.get(host_peer_id) if host_peer_id is not None else None

    @property
    def gateways(self) -> set[str]:
        return {mark.gateway_id for mark in (*self.players.values(), *self.hosts.values())}


class Presence:
    """This gateway's part of what all of them know."""

    def __init__(self, redis: TracedRedis, gateway_id: str) -> None:
        self._redis = redis
        self.gateway_id = gateway_id
        self._alive: set[str] = {gateway_id}
        self._untold = False
        """Whether something could not be told."""
        self._owed: deque[tuple[str, str, tuple[str, ...]]] = deque(maxlen=MAX_OWED)

    def mark(self, connection_id: str) -> Mark:
        return Mark(connection_id, self.gateway_id)

    async def claim(self, peer_id: str, mark: Mark) -> Mark | None:
        """Say that we hold the peer; the other connection that held it, if any: newer, then it stays."""
        held: str | None = await self._eval(_CLAIM, f"peer:{peer_id}", str(mark), _ENTRY_S)
        return Mark.read(held) if held is not None and held != str(mark) else None

    async def release(self, peer_id: str, mark: Mark) -> None:
        """Hold the peer no longer, unless somebody else does by now."""
        await self._take_back(_RELEASE, f"peer:{peer_id}", str(mark))

    async def where(self, peer_id: str) -> Mark | None:
        """The living connection of a peer."""
        held: Any = await self._redis.get(f"peer:{peer_id}")
        if held is None:
            return None
        mark = Mark.read(held)
        return mark if mark.gateway_id in await self._living({mark.gateway_id}) else None

    async def enter(self, room: str, member: str, mark: Mark, *, limited: bool) -> Listing:
        """Be in a room, unless a newer connection of ours is; who is in it. RoomFullError where no place is left."""
        limit = ROOM_LIMIT if limited else 0
        fields = await self._eval(_ENTER, f"room:{room}", member, str(mark), _ENTRY_S, limit)
        if not fields and await self._prune(room):
            fields = await self._eval(_ENTER, f"room:{room}", member, str(mark), _ENTRY_S, limit)
        if not fields:
            raise RoomFullError(f"Room {room} is full")
        return await self._listing(dict(zip(fields[::2], fields[1::2], strict=True)))

    async def look(self, room: str) -> Listing:
        """Who is in a room."""
        fields: Any = await self._redis.hgetall(f"room:{room}")
        return await self._listing(fields)

    async def leave(self, room: str, member: str, mark: Mark, *, seat_kept: bool) -> None:
        """Be in a room no longer, unless a newer connection of ours is."""
        gone = f"{GONE}{int(time.time())}" if seat_kept else ""
        await self._take_back(_LEAVE, f"room:{room}", member, str(mark), gone)

    async def beat(self, totals: str) -> bool:
        """Renew our life; False when Redis does not know all that we told it: it had forgotten us, or was away."""
        before = await self._redis.set(f"gateway:{self.gateway_id}", totals, ex=GATEWAY_LIVES, get=True)
        await self._redis.sadd("gateways", self.gateway_id)
        self._alive = {self.gateway_id}
        while self._owed:
            script, key, args = self._owed.popleft()
            await self._take_back(script, key, *args)
        told, self._untold = not self._untold, False
        return told and before is not None

    async def end(self) -> None:
        """Be no gateway any more; if Redis is away, our time runs out there by itself."""
        with suppress(UnavailableError):
            await self._redis.delete(f"gateway:{self.gateway_id}")
            await self._redis.srem("gateways", self.gateway_id)

    async def totals(self) -> Mapping[str, str]:
        """What each living gateway says of itself; the dead are struck off the list."""
        gateways: Any = await self._redis.smembers("gateways")
        if not gateways:
            return {}
        told: Any = await self._redis.mget([f"gateway:{gateway}" for gateway in gateways])
        found = dict(zip(gateways, told, strict=True))
        if dead := [gateway for gateway, totals in found.items() if totals is None]:
            await self._redis.srem("gateways", *dead)
        return {gateway: totals for gateway, totals in found.items() if totals is not None}

    async def bury(self, gateway_id: str) -> None:
        """A gateway is dead: nobody need wait until its time is up."""
        self._alive.discard(gateway_id)
        await self._take_back(_BURY, f"gateway:{gateway_id}")

    async def renew(
        self, peers: Sequence[tuple[str, Mark]], members: Iterable[tuple[str, str, Mark]]
    ) -> list[Mark | None]:
        """Tell again what we told; for each peer the other connection that held it, if any: newer, then it stays."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for peer_id, mark in peers:
                pipe.eval(_CLAIM, 1, f"peer:{peer_id}", str(mark), _ENTRY_S)
            for room, member, mark in members:
                pipe.eval(_RENEW_MEMBER, 1, f"room:{room}", member, str(mark), _ENTRY_S)
            answers = await pipe.execute()
        return [
            Mark.read(held) if held is not None and held != str(mark) else None
            for (_, mark), held in zip(peers, answers, strict=False)
        ]

    async def _take_back(self, script: str, key: str, *args: str) -> None:
        """Undo what we said; while Redis is away, later: it would stay true for as long as we live."""
        try:
            await self._eval(script, key, *args)
        except UnavailableError:
            self._owed.append((script, key, args))

    async def _listing(self, fields: Mapping[str, str]) -> Listing:
        players: dict[str, Mark] = {}
        hosts: dict[str, Mark] = {}
        gone: set[str] = set()
        for field, value in sorted(fields.items(), key=lambda entry: entry[1]):
            if value.startswith(GONE):
                if time.time() - int(value[1:]) < GONE_FOR_S:
                    gone.add(field.removeprefix(PLAYER))
            elif field.startswith(PLAYER):
                players[field.removeprefix(PLAYER)] = Mark.read(value)
            else:
                hosts[field.removeprefix(HOST)] = Mark.read(value)
        living = await self._living(Listing(players, hosts, frozenset()).gateways)
        return Listing(
            {peer: mark for peer, mark in players.items() if mark.gateway_id in living},
            {peer: mark for peer, mark in hosts.items() if mark.gateway_id in living},
            frozenset(gone),
        )

    async def _prune(self, room: str) -> bool:
        """Strike off whom dead gateways left behind; whether there was anybody."""
        found: Any = await self._redis.hgetall(f"room:{room}")
        fields = {field: Mark.read(value) for field, value in found.items()}
        living = await self._living({mark.gateway_id for mark in fields.values()})
        dead = {field: mark for field, mark in fields.items() if mark.gateway_id not in living}
        for field, mark in dead.items():
            await self._eval(_LEAVE, f"room:{room}", field, str(mark), "")
        return bool(dead)

    async def _living(self, gateways: Collection[str]) -> set[str]:
        """Which of them live; those seen alive since our last beat are taken at their word."""
        unknown = [gateway for gateway in gateways if gateway not in self._alive]
        if unknown:
            async with self._redis.pipeline(transaction=False) as pipe:
                for gateway in unknown:
                    pipe.exists(f"gateway:{gateway}")
                there = await pipe.execute()
            self._alive.update(gateway for gateway, lives in zip(unknown, there, strict=True) if lives)
        return {gateway for gateway in gateways if gateway in self._alive}

    async def _eval(self, script: str, key: str, *args: str | int) -> Any:
        # EVAL, not EVALSHA: after a restart of Redis there is no script to miss.
        try:
            return await self._redis.eval(script, 1, key, *args)
        except UnavailableError:
            self._untold = True
            raise
