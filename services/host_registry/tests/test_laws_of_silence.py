"""Whatever happens in whatever order: a host that beats in time is never lost, one that is silent always is."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import count

from contracts.gateway import IceState
from contracts.hosts import HostStatus
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from testkit.patience import patient
from testkit.thoroughness import examples

from services.host_registry.tests.world import PATIENCE, SECOND, World, session_fact


class Event(StrEnum):
    BEAT = "it beats"
    CLOSE = "its socket closes"
    OPEN = "it opens another"
    ALICE_LOSES = "alice loses it"
    BOB_LOSES = "bob loses it"
    CAROL_LOSES = "carol loses it"
    ALICE_HEARS = "alice hears it"
    OUTAGE = "nobody is heard for a while"


WORDS = {
    Event.ALICE_LOSES: ("alice", IceState.DISCONNECTED),
    Event.BOB_LOSES: ("bob", IceState.DISCONNECTED),
    Event.CAROL_LOSES: ("carol", IceState.DISCONNECTED),
    Event.ALICE_HEARS: ("alice", IceState.CONNECTED),
}
# Bursts, as after a kill, between silences that cross every deadline.
schedules = st.lists(
    st.tuples(st.sampled_from([1, 1, 1, 2, 3, 9, 14]), st.sampled_from(list(Event))), min_size=4, max_size=16
)


@dataclass
class Lived:
    """A host with three players, and what is known of it without the registry."""

    world: World
    host_id: str
    beaten_at: datetime
    sockets: int = 0
    open: bool = False
    closed_at: datetime | None = None
    """Since its last beat; a socket that it opened meanwhile does not undo a verdict."""
    lost: bool = False
    """As it was found, lawfully, since its last beat: an absence of ours later does not undo that either."""

    async def live_through(self, happens: Event) -> None:
        world, host_id = self.world, self.host_id
        match happens:
            case Event.BEAT:
                await world.beat(host_id)
                self.beaten_at, self.closed_at, self.lost = world.clock.now(), None, False
            case Event.CLOSE if self.open:
                await world.disconnect(f"c{self.sockets:03}", host_id)
                self.open, self.closed_at = False, world.clock.now()
            case Event.OPEN if not self.open:
                self.sockets += 1
                await world.connect(f"c{self.sockets:03}", host_id)
                self.open = True
            case Event.OUTAGE:
                world.line.up = False
                await world.wait(3 * SECOND)
                world.line.up = True
            case _ if happens in WORDS:
                player, state = WORDS[happens]
                await world.say(player, state, to=host_id, session_id=f"of-{host_id}")

    def may_be_lost(self) -> bool:
        silence = self.world.clock.now() - max(self.beaten_at, self.world.own_absence.since)
        return self.lost or self.closed_at is not None or silence >= PATIENCE.offline_after

    def must_be_lost(self) -> bool:
        now, since = self.world.clock.now(), self.world.own_absence.since
        silent = now - max(self.beaten_at, since) >= PATIENCE.offline_after
        cut_off = self.closed_at and not self.open and now - max(self.closed_at, since) >= PATIENCE.cut_off_after
        return silent or bool(cut_off)


async def live(world: World, host_id: str, schedule: Sequence[tuple[int, Event]]) -> None:
    await world.register(host_id)
    host = Lived(world, host_id, world.clock.now())
    await host.live_through(Event.OPEN)
    await world.reserve(f"of-{host_id}", host_id)
    await world.tell_session(session_fact(f"of-{host_id}", host_id=host_id, players=3))
    for pause, happens in schedule:
        await host.live_through(happens)
        assert host.may_be_lost() or (await world.host(host_id)).status is not HostStatus.OFFLINE
        await world.wait(pause * SECOND)
        lost = (await world.host(host_id)).status is HostStatus.OFFLINE
        assert host.may_be_lost() or not lost
        assert lost or not host.must_be_lost()
        host.lost = lost
    await world.delete(host_id)


async def test_who_beats_in_time_is_never_lost_and_who_is_silent_always_is(world: World) -> None:
    loop, names = asyncio.get_running_loop(), count(1)

    @settings(max_examples=examples(25), deadline=None, suppress_health_check=list(HealthCheck))
    @given(schedules)
    # Lost, and then it was we who were away.
    @example([(3, Event.BEAT), *[(14, Event.OPEN)] * 3, (1, Event.OUTAGE)])
    def holds(schedule: list[tuple[int, Event]]) -> None:
        living = live(world, f"host-{next(names)}", schedule)
        asyncio.run_coroutine_threadsafe(living, loop).result(timeout=patient(30))

    await asyncio.to_thread(holds)
