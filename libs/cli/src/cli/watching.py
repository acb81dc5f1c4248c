"""A table that is looked up again and again: on a terminal in place, in a pipe one below the other."""

import asyncio
import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from datetime import datetime
from typing import Generic

from rich.live import Live
from rich.text import Text
from sdk import P2pError

from cli.answers import Draw, Look, Reply
from cli.asking import advice, answered, entered
from cli.reach import Where
from cli.tables import show, terminal

LOOK_EVERY_S = 2.0


def watching(where: Where, look: Look[Reply], draw: Draw[Reply], *, as_json: bool) -> None:
    """Look until Ctrl-C; who cannot be asked the first time is an error, who goes away later comes back."""
    with ExitStack() as screen, suppress(KeyboardInterrupt):
        answered(_watch(where, look, _shower(screen, draw, as_json=as_json)))


Shower = Callable[[Reply | None, str], None]
"""Takes what was found, None for what was found before, and what is wrong."""


async def _watch(where: Where, look: Look[Reply], shower: Shower[Reply]) -> None:
    async with entered(where) as suite:
        shower(await look(suite), "")
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                shower(await look(suite), "")
            except P2pError as error:
                shower(None, advice(error))


def _shower(screen: ExitStack, draw: Draw[Reply], *, as_json: bool) -> Shower[Reply]:
    if as_json:
        return _as_json
    if terminal().is_terminal:
        return _OnScreen(screen, draw).show
    return lambda found, wrong: _below(draw, found, wrong)


def _as_json(found: Reply | None, wrong: str) -> None:
    if found is None:
        print(f"error: {wrong}", file=sys.stderr, flush=True)
    else:
        print(found.model_dump_json(), flush=True)


def _below(draw: Draw[Reply], found: Reply | None, wrong: str) -> None:
    if found is None:
        print(f"error: {wrong}", file=sys.stderr, flush=True)
    else:
        show([*draw(found), ""])
        sys.stdout.flush()


class _OnScreen(Generic[Reply]):
    """Takes the screen at the first look, and gives it back as it was."""

    def __init__(self, screen: ExitStack, draw: Draw[Reply]) -> None:
        self._screen = screen
        self._draw = draw
        self._live: Live | None = None
        self._last: list[Text | str] = []

    def show(self, found: Reply | None, wrong: str) -> None:
        if self._live is None:
            self._live = self._screen.enter_context(Live(console=terminal(), screen=True, auto_refresh=False))
        now = f"{datetime.now().astimezone():%H:%M:%S}"
        if found is not None:
            self._last = list(self._draw(found))
            head = Text(f"{now}  every {LOOK_EVERY_S:g} s, Ctrl-C ends it", "dim")
        else:
            head = Text(f"{now}  {wrong}", "red")
        self._live.update(Text("\n").join(_fitting([head, *self._last], terminal().height)), refresh=True)


def _fitting(lines: Iterable[Text | str], height: int) -> list[Text]:
    texts = [Text(line) if isinstance(line, str) else line for line in lines]
    if len(texts) <= height:
        return texts
    below = len(texts) - (height - 1)
    return [*texts[: height - 1], Text(f"… and {below} lines below, for which the window is too low", "dim")]
