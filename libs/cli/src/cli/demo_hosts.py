"""Several hosts of the demo on this machine, a process each, so that one of them can be killed under its players."""

import asyncio
import os
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from contracts.hosts import RegisterHost
from embedded.errors import EmbeddedError
from embedded.process import Process, Program
from pydantic import ValidationError
from sdk import ServerKey

from cli.demo_host import this_machine
from cli.host_process import KEY_VARIABLE, HostTask, Line


class DemoHosts:
    """`count` hosts, told apart by their numbers; what happens to them goes to `say`, under their names."""

    def __init__(self, gateway: str, key: ServerKey | None, count: int, say: Callable[[str], None]) -> None:
        machines = [this_machine(number) for number in range(1, count + 1)]
        self._programs = {machine.host_id: self._program(gateway, machine, key) for machine in machines}
        self._say = say
        self._processes: dict[str, Process] = {}
        """Those that are meant to run."""
        self._watches: set[asyncio.Task[None]] = set()
        self._reachable: set[str] = set()
        self._players: dict[str, set[str]] = defaultdict(set)
        self._somebody_plays = asyncio.Event()
        self._killed_at: float | None = None
        """While the players of a killed host have not gone over."""
        self._orphans: set[str] = set()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._programs)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Have all of them reachable until the block ends; raises EmbeddedError where one cannot be."""
        try:
            async with asyncio.TaskGroup() as starting:
                for name in self._programs:
                    starting.create_task(self._start(name))
            yield
        except* EmbeddedError as failed:
            raise failed.exceptions[0] from None
        finally:
            await self._stop()

    async def kill_when_played(self, after_s: float) -> None:
        """Once somebody has played for so long, kill that host; after as long again it is switched on again."""
        await self._somebody_plays.wait()
        self._say(f"in {after_s:g} s the host that carries the players is killed")
        await asyncio.sleep(after_s)
        name = max(self._programs, key=lambda name: len(self._players[name]))
        self._orphans = self._players.pop(name, set())
        self._killed_at = time.monotonic()
        await self._processes.pop(name).kill()
        self._say(f"killed {name} (kill -9): its players are to go on with another host")
        await asyncio.sleep(after_s)
        try:
            await self._start(name)
        except EmbeddedError as error:
            self._say(f"{name} does not come back: {error}")
        else:
            self._say(f"{name} is back, as a host like any other; what it carried stays where it is")

    def spawned(self, name: str, pid: int) -> None:
        self._say(f"{name}: starting, process {pid}")

    def wrote(self, name: str, line: str) -> None:
        """Hear what a host's process wrote; what is none of its Lines is an error's text."""
        try:
            said = Line.model_validate_json(line)
        except ValidationError:
            self._say(f"{name}: {line}")
            return
        if said.words is not None:
            self._say(f"{name}: {said.words}")
        if said.reachable:
            self._reachable.add(name)
        if said.connected is not None:
            self._plays(name, said.connected)
        if said.gone is not None:
            self._players[name].discard(said.gone)

    def ended(self, name: str) -> None:
        self._reachable.discard(name)

    def _plays(self, name: str, player_id: str) -> None:
        self._players[name].add(player_id)
        self._somebody_plays.set()
        if self._killed_at is not None and player_id in self._orphans:
            self._orphans.discard(player_id)
            ms = (time.monotonic() - self._killed_at) * 1000
            self._say(f"{player_id} plays on with {name}, {ms:.0f} ms after the kill")

    async def _start(self, name: str) -> None:
        process = self._processes[name] = await Process.start(self._programs[name], self)
        self._watches.add(watch := asyncio.create_task(self._watch(name, process), name=f"end of {name}"))
        watch.add_done_callback(self._watches.discard)

    async def _watch(self, name: str, process: Process) -> None:
        how = await process.ended()
        if self._processes.get(name) is process:
            self._say(f"{name} {how}: {process.last_words}")
            self._players.pop(name, None)

    async def _stop(self) -> None:
        running, self._processes = self._processes, {}
        await asyncio.gather(*(process.stop() for process in running.values()))

    def _program(self, gateway: str, machine: RegisterHost, key: ServerKey | None) -> Program:
        async def reachable() -> bool:
            return machine.host_id in self._reachable

        return Program(
            name=machine.host_id,
            command=(
                *(sys.executable, "-m", "cli.host_process"),
                HostTask(gateway=gateway, machine=machine).model_dump_json(exclude_defaults=True),
            ),
            probe=reachable,
            environment={**os.environ, **({KEY_VARIABLE: key.key} if key else {})},
        )
