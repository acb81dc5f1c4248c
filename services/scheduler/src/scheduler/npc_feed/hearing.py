"""What the AI world says, taken in as it comes; of an NPC about which words come in a flood, the newest.

In the order they come, zones and NPCs alike. Of a flooded NPC some fifty words a second are taken in, and one that is
overtaken is not even read.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, suppress
from typing import NamedTuple

import structlog
from chassis import tracing
from contracts.npcs import ENVIRONMENT, NPC_STATE, SOURCE, Environment, NpcState, Source
from nats.aio.msg import Msg
from opentelemetry.trace import Span
from prometheus_client import Counter
from pydantic import ValidationError

from scheduler.npc_feed.composition import UnusableStateError
from scheduler.npc_feed.letters import Letters
from scheduler.npc_feed.zone import URGENT_TOGETHER_S, Zone

log = structlog.stdlib.get_logger()

TAKEN_IN_EVERY_S = 0.02
"""Of one NPC: a word that comes sooner after the one before waits this long for a newer one, which takes its place."""

WORD_BYTES = 64 * 1024
"""An AI server may say more of an NPC than leaves here, but this is a mistake, and reading it holds up others."""

LINKS = 32
"""Publishes that a delta's span links to; more tell nobody anything."""

OVERTAKEN = Counter(
    "p2p_npc_words_overtaken", "Messages of AI servers that a newer one on the same NPC took the place of."
)

WORDS = Counter("p2p_npc_words", "Messages of the AI world that were taken in.", ["source"])

_ADAPTERS = frozenset({Source.HTTP, Source.REDIS})

_URGENT = re.compile(rb'"urgent"\s*:\s*true')

Hurry = Callable[[Zone], Awaitable[None]]
"""Has what is urgent told."""


class Hearing:
    """Of the zones in `zones`, which change under its hands."""

    def __init__(self, zones: Mapping[str, Zone], letters: Letters, hurry: Hurry) -> None:
        self._zones = zones
        self._letters = letters
        self._hurry = hurry
        self._tasks: set[asyncio.Task[None]] = set()

    async def heard(self, msg: Msg) -> None:
        """Take a word in, now or in a moment."""
        try:
            zone_id, npc_id = _named(msg.subject)
            zone = self._zones.get(zone_id)
            if zone is None:
                return
            if self._must_wait(zone, npc_id, msg):
                self._put_off(zone, msg)
            else:
                await self._hear(zone, npc_id, msg)
        except ValueError as error:  # of the subject
            await self._letters.put(msg.subject, msg.data, str(error))
        except Exception:
            log.exception("feed.word_failed", subject=msg.subject)

    async def take_in_put_off(self, zone: Zone) -> bool:
        """Take in what waits, and say whether any of it is urgent."""
        words, zone.put_off = zone.put_off, {}
        taken = []
        for msg in words.values():  # all of them before anything newer is heard
            with _receiving(msg):
                taken.append((msg, _take_in(zone, _named(msg.subject)[1], msg)))
        for msg, word in taken:
            if word.unusable is not None:
                await self._letters.put(msg.subject, msg.data, word.unusable)
        return any(word.urgent for _, word in taken)

    async def _hear(self, zone: Zone, npc_id: str | None, msg: Msg) -> None:
        with _receiving(msg):
            word = _take_in(zone, npc_id, msg)
            if word.unusable is not None:
                await self._letters.put(msg.subject, msg.data, word.unusable)
            if word.urgent:
                await self._hurry(zone)

    def _must_wait(self, zone: Zone, npc_id: str | None, msg: Msg) -> bool:
        """Whether the word comes so soon after another on the same NPC that a newer one may as well take its place."""
        if msg.subject in zone.put_off:
            return True
        now = time.monotonic()
        since = now - TAKEN_IN_EVERY_S
        lately = zone.environment_at > since if npc_id is None else zone.composition.heard_lately(npc_id, since)
        urgent_now = now - zone.urgent_at >= URGENT_TOGETHER_S and _URGENT.search(msg.data) is not None
        return lately and not urgent_now

    def _put_off(self, zone: Zone, msg: Msg) -> None:
        if msg.subject in zone.put_off:
            OVERTAKEN.inc()
        elif not zone.put_off:
            asyncio.get_running_loop().call_later(TAKEN_IN_EVERY_S, self._soon, zone)
        zone.put_off[msg.subject] = msg

    def _soon(self, zone: Zone) -> None:
        task = asyncio.get_running_loop().create_task(self._hear_put_off(zone))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _hear_put_off(self, zone: Zone) -> None:
        try:
            if await self.take_in_put_off(zone):
                await self._hurry(zone)
        except Exception:
            log.exception("feed.words_failed", zone_id=zone.composition.zone_id)

    async def recalled(self, msg: Msg) -> None:
        """The same, said before; what could not be used then is left out without another word."""
        with suppress(ValueError, UnusableStateError):
            zone_id, npc_id = _named(msg.subject)
            zone = self._zones.get(zone_id)
            if zone is None:
                return
            if npc_id is None:
                zone.composition.recall_environment(Environment.model_validate_json(_bounded(msg.data)))
            else:
                state = NpcState.model_validate_json(_bounded(msg.data))
                zone.composition.check(npc_id, state)
                zone.composition.recall(state, time.monotonic())
            zone.sources.setdefault(_source_of(msg), time.monotonic())


def _named(subject: str) -> tuple[str, str | None]:
    """Give the zone's and the NPC's id, or None where its environment is spoken of; ValueError for any other."""
    if subject.startswith("p2p.environment."):
        return ENVIRONMENT.parse(subject)["zone_id"], None
    named = NPC_STATE.parse(subject)
    return named["zone_id"], named["npc_id"]


def _receiving(msg: Msg) -> AbstractContextManager[Span]:
    traceparent = msg.headers.get(tracing.TRACEPARENT) if msg.headers else None
    return tracing.continued(traceparent, "receive p2p.npc", tracing.SpanKind.CONSUMER)


class _Word(NamedTuple):
    """What became of it."""

    urgent: bool = False
    unusable: str | None = None


def _take_in(zone: Zone, npc_id: str | None, msg: Msg) -> _Word:
    try:
        urgent = _learn(zone, npc_id, msg.data)
    except (ValidationError, UnusableStateError) as error:
        return _Word(unusable=_reason(error))
    source = _source_of(msg)
    zone.sources[source] = time.monotonic()
    WORDS.labels(source).inc()
    traceparent = msg.headers.get(tracing.TRACEPARENT) if msg.headers else None
    if traceparent is not None and tracing.recording() and npc_id is not None:
        if len(zone.traces) < LINKS:
            zone.traces.append(traceparent)
        if urgent and zone.urgent_trace is None:
            zone.urgent_trace = tracing.current_traceparent()
    return _Word(urgent)


def _source_of(msg: Msg) -> Source:
    named = msg.headers.get(SOURCE) if msg.headers else None
    return Source(named) if named in _ADAPTERS else Source.NATS


def _learn(zone: Zone, npc_id: str | None, body: bytes) -> bool:
    """Take a word in, and say whether it is urgent; ValidationError or UnusableStateError where it cannot be used."""
    now = time.monotonic()
    if npc_id is None:
        zone.environment_at = now
        zone.composition.hear_environment(Environment.model_validate_json(_bounded(body)), now)
        return False
    state = NpcState.model_validate_json(_bounded(body))
    zone.composition.check(npc_id, state)
    zone.composition.hear(state, now)
    return state.urgent


def _bounded(body: bytes) -> bytes:
    if len(body) > WORD_BYTES:
        raise UnusableStateError(f"it has {len(body)} bytes, at most {WORD_BYTES} are read")
    return body


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        found = error.errors(include_url=False, include_context=False, include_input=False)[0]
        return f"{'.'.join(map(str, found['loc'])) or 'body'}: {found['msg']}"
    return str(error)
