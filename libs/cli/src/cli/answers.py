"""What subcommands ask a suite and show: once, again and again, or as JSON."""

import shlex
import sys
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from typing import Annotated, Any, Protocol, TypeVar

import typer
from contracts.subjects import Message, Page, Rpc
from pydantic import BaseModel, ValidationError
from rich.text import Text

from cli.reach import Where
from cli.tables import show

Question = TypeVar("Question", bound=Message)
Listing = TypeVar("Listing", bound=Page)
Reply = TypeVar("Reply", bound=BaseModel)
Answer = TypeVar("Answer")

ANSWER_WITHIN = timedelta(seconds=5)
"""A gateway answers within 4 s."""

MOST_AT_ONCE = 1000
"""One question gets so many things of a list at most."""

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
WatchOption = Annotated[bool, typer.Option("--watch", help="Look again every 2 s, until Ctrl-C.")]
LimitOption = Annotated[int, typer.Option(help="So many at most.", min=1)]
CursorOption = Annotated[
    str | None, typer.Option(help="Go on from there, as the page before said.", metavar="CURSOR", show_default=False)
]
DEFAULT_LIMIT = 50


class Asker(Protocol):
    """A suite's NATS, or one of its gateways."""

    async def ask(self, rpc: Rpc[Question, Reply], question: Question, within: timedelta) -> Reply: ...


Look = Callable[[Asker], Awaitable[Reply]]
Draw = Callable[[Reply], Iterable[Text | str]]


def question(kind: type[Question], **fields: Any) -> Question:
    """Put a question together from what was typed, without what was not; a slip of the finger is one of usage."""
    given = {name: value for name, value in fields.items() if value is not None}
    try:
        return kind(**given)
    except ValidationError as error:
        wrong = "; ".join(f"{each['loc'][0]} {given[str(each['loc'][0])]!r}: {each['msg']}" for each in error.errors())
        raise typer.BadParameter(wrong) from None


def answer(where: Where, rpc: Rpc[Question, Reply], asked: Question) -> Reply:
    """Ask one question; end the program with the reason and what to do when there is no answer."""
    return answers(where, lambda suite: suite.ask(rpc, asked, ANSWER_WITHIN))


def answers(where: Where, look: Callable[[Asker], Awaitable[Answer]]) -> Answer:
    """Ask several, over one connection."""
    # Here, because the SDK takes most of a second to load, which `p2p --help` and completion would pay.
    from cli.asking import answered, entered  # noqa: PLC0415

    async def looked() -> Answer:
        async with entered(where) as suite:
            return await look(suite)

    return answered(looked())


def present(where: Where, look: Look[Reply], draw: Draw[Reply], *, as_json: bool, watch: bool = False) -> None:
    """Show what is found there, once or again and again."""
    if watch:
        from cli.watching import watching  # noqa: PLC0415  as above

        watching(where, look, draw, as_json=as_json)
        return
    found = answers(where, look)
    if as_json:
        print(found.model_dump_json(indent=2))
        return
    show(draw(found))
    cursor = getattr(found, "next_cursor", None)
    if cursor is not None:
        print(f"there are more: the same with --cursor {shlex.quote(cursor)}, or a higher --limit", file=sys.stderr)


async def collected(suite: Asker, rpc: Rpc[Listing, Reply], asked: Listing, limit: int) -> Reply:
    """Ask for page after page until there are `limit` things or no more: as one page."""
    items: list[Any] = []
    cursor = asked.cursor
    while True:
        part = asked.model_copy(update={"limit": min(MOST_AT_ONCE, limit - len(items)), "cursor": cursor})
        page: Any = await suite.ask(rpc, part, ANSWER_WITHIN)
        items += page.items
        cursor = page.next_cursor
        if cursor is None or len(items) >= limit:
            return rpc.answer(items=items, next_cursor=cursor)
