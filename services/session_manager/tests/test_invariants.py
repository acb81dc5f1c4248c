"""Whatever is done in whatever order, rows, seats, counts and facts agree; Hypothesis chooses what is done."""

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from importlib.resources import files
from itertools import count
from typing import Any

from chassis.database import open_database
from chassis.refusals import ServiceError
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from session_manager.guarding import LATER
from session_manager.policies import UNLESS_SAID
from session_manager.sessions import read_ref
from testkit.clock import ManualClock
from testkit.thoroughness import examples

from services.session_manager.tests.facts import a_host_fact
from services.session_manager.tests.world import RETURN, FakeZones, assert_sound, empty, make_world

PLAYERS = st.sampled_from([f"player-{number}" for number in range(6)])
HOSTS = st.sampled_from(["host-1", "host-2"])
SESSIONS = st.integers(0, 7)


class Sessions(RuleBasedStateMachine):
    """Against a model that knows only who sits where."""

    def __init__(self, runner, database):
        super().__init__()
        self.runner = runner
        self.clock = ManualClock()
        guarded = replace(UNLESS_SAID, standby=True)
        self.zones = FakeZones(host_max_players=5, zone_max_players=4, policy=guarded)
        self.world = make_world(database, self.clock, self.zones)
        self.host_revisions = count(1)
        self.sessions: list[str] = []
        self.seats: dict[str, str] = {}
        self.run(empty(database))

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    def attempt(self, work: Coroutine[Any, Any, Any]) -> Any:
        """What it gives, or None when it is refused; anything but a refusal is a defect."""
        try:
            return self.run(work)
        except ServiceError:
            return None

    def host_revision(self):
        return next(self.host_revisions)

    def named(self, number):
        return self.sessions[number % len(self.sessions)] if self.sessions else "session-00000000000000ff"

    def note(self, session):
        """Keep who sits in this session now."""
        self.seats = {player: where for player, where in self.seats.items() if where != session.session_id}
        self.seats |= dict.fromkeys(session.connected_players, session.session_id)

    @rule(host=HOSTS, players=st.lists(PLAYERS, unique=True, max_size=4), max_players=st.integers(1, 4))
    def create(self, host, players, max_players):
        session = self.attempt(self.world.create(host_id=host, player_ids=players, max_players=max_players))
        if session is not None:
            self.sessions.append(session.session_id)
            self.note(session)

    @rule(number=SESSIONS, player=PLAYERS, socket=st.booleans())
    def join(self, number, player, socket):
        session = self.attempt(self.world.join(self.named(number), player, socket=socket))
        if session is not None:
            assert player in session.connected_players
            self.note(session)

    @rule(number=SESSIONS, players=st.sets(PLAYERS, min_size=2))
    def join_at_once(self, number, players):
        async def join():
            joins = (self.world.join(self.named(number), player) for player in sorted(players))
            await asyncio.gather(*joins, return_exceptions=True)
            return await self.world.get(self.named(number))

        session = self.attempt(join())
        if session is not None:
            self.note(session)

    @rule(player=PLAYERS)
    def enter(self, player):
        session = self.attempt(self.world.enter(player))
        if session is not None:
            if session.session_id not in self.sessions:
                self.sessions.append(session.session_id)
            self.note(session)

    @rule(number=SESSIONS, player=PLAYERS)
    def leave(self, number, player):
        session = self.attempt(self.world.leave(self.named(number), player))
        assert (session is not None) == (bool(self.sessions) and self.seats.get(player) == self.named(number))
        if session is not None:
            del self.seats[player]

    @rule(player=PLAYERS)
    def leave_wherever(self, player):
        session = self.attempt(self.world.leave(None, player))
        assert (None if session is None else session.session_id) == self.seats.pop(player, None)

    @rule(number=SESSIONS)
    def end(self, number):
        session = self.attempt(self.world.end(self.named(number)))
        if session is not None:
            self.note(session)

    @rule(host=HOSTS)
    def lose(self, host):
        self.run(self.world.fallback.host_lost(a_host_fact(host, revision=self.host_revision(), at=self.clock.now())))
        for session in self.sessions:
            self.note(self.run(self.world.get(session)))

    @rule(host=HOSTS)
    def return_to(self, host):
        """A host is there, and is good; whoever can returns to it."""
        self.run(self.world.presence.found(a_host_fact(host, revision=self.host_revision())))
        self.zones.able = [host]
        self.run(self.world.returning.bring_back())
        self.clock.advance(RETURN)
        self.run(self.world.returning.bring_back())

    @rule(host=HOSTS)
    def stand_by(self, host):
        """A host is there that stands by for all that have none, on which some seats are not what they were."""
        self.run(self.world.presence.found(a_host_fact(host, revision=self.host_revision())))
        self.zones.able = [host]
        self.clock.advance(LATER)
        self.run(self.world.guarding.look())

    @rule(number=SESSIONS)
    def order(self, number):
        self.attempt(self.world.migration.order(read_ref(self.named(number)), None))

    @rule(host=HOSTS, player=PLAYERS, number=SESSIONS)
    def lose_while_they_come_and_go(self, host, player, number):
        async def at_once():
            lost = a_host_fact(host, revision=self.host_revision(), at=self.clock.now())
            join, leave = self.world.join(self.named(number), player), self.world.leave(self.named(number + 1), player)
            look, lose = self.world.guarding.look(), self.world.fallback.host_lost(lost)
            await asyncio.gather(join, lose, leave, look, return_exceptions=True)
            return [await self.world.get(session) for session in self.sessions]

        for session in self.run(at_once()):
            self.note(session)

    @invariant()
    def sound(self):
        self.run(assert_sound(self.world.database))

    @invariant()
    def everybody_sits_where_the_model_says(self):
        rows = self.run(
            self.world.database.fetch(
                "seats", "SELECT player_id, session_id FROM seats JOIN sessions ON sessions.id = seats.session"
            )
        )
        assert {row["player_id"]: row["session_id"] for row in rows} == self.seats


def test_rows_seats_counts_and_facts_agree_whatever_is_done(postgres_url):
    migrations = files("session_manager") / "migrations"
    with asyncio.Runner() as runner:
        opened = open_database(postgres_url, name="session_manager", migrations=migrations, plan_once=True)
        database = runner.run(opened.__aenter__())
        machine: Any = lambda: Sessions(runner, database)  # noqa: E731 -- a function does for the class it asks for
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=examples(10),
                stateful_step_count=25,
                deadline=None,
                suppress_health_check=[HealthCheck.too_slow],
            ),
        )
        runner.run(opened.__aexit__(None, None, None))
