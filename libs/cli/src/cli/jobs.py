"""`p2p jobs`: the calendar and how each job went, for people or as JSON; `p2p jobs run` makes one due now."""

import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated

import typer
from contracts.jobs import LIST_JOBS, Job, JobDue, JobFact, JobName, JobOutcome, Jobs
from contracts.subjects import Nothing
from rich.text import Text

from cli.answers import ANSWER_WITHIN, JsonOption, WatchOption, present
from cli.reach import Where, reaching
from cli.spans import in_words
from cli.tables import Cell, Column, Tinted, lines_of, room
from cli.tints import BAD, GOOD

COLUMNS = (
    Column("job"),
    Column("every", leave_out=2),
    Column("next due"),
    Column("last run"),
    Column("took", leave_out=3),
    Column("outcome"),
    Column("detail", leave_out=4, stretches=True),
)

jobs = typer.Typer(invoke_without_command=True, help="See the calendar and how each job went, make one due now.")


@jobs.callback()
@reaching
def show(context: typer.Context, where: Where, watch: WatchOption = False, as_json: JsonOption = False) -> None:
    """Show what is due when, and how it went last."""
    if context.invoked_subcommand is None:
        where.entrance()  # says so where only a gateway is named, which has no answer
        present(
            where, lambda suite: suite.ask(LIST_JOBS, Nothing(), ANSWER_WITHIN), _calendar, as_json=as_json, watch=watch
        )


def _names(incomplete: str) -> list[str]:
    return [name for name in JobName if name.startswith(incomplete)]


@jobs.command()
@reaching
def run(
    where: Where,
    name: Annotated[str, typer.Argument(help="Of the job.", autocompletion=_names)],
    wait: Annotated[bool, typer.Option(help="Wait up to 10 s for what becomes of it.")] = True,
) -> None:
    """Make a job due now, and say what became of it."""
    # Here, because the SDK takes most of a second to load, which every other subcommand would pay.
    from cli.job_runs import make_due  # noqa: PLC0415

    due, fact = make_due(where.entrance(), name, wait=wait)
    if not wait:
        print(f"{due.job} is due; `p2p jobs` shows how it went")
    elif fact is None:
        sys.exit(f"error: {due.job} is due, but nothing was heard of it; `p2p status` shows who is away")
    else:
        print(_told(due, fact))
        sys.exit(fact.outcome is not JobOutcome.DONE)


def _told(due: JobDue, fact: JobFact) -> str:
    overtaken = " by a later due time" if fact.due_at > due.due_at else ""
    return (
        f"{fact.job} is {fact.outcome}{overtaken}, in {in_words(fact.duration_ms / 1000)}: {fact.detail or 'no detail'}"
    )


def _calendar(listed: Jobs) -> Iterable[Text]:
    now = datetime.now(UTC)
    yield from lines_of(COLUMNS, (_row(job, now) for job in listed.items), room())
    yield Text()
    yield Text(f"{listed.leader} leads" if listed.leader else "no scheduler leads: nothing becomes due")


def _row(job: Job, now: datetime) -> tuple[Cell, ...]:
    every = in_words(job.interval_s)
    next_due = f"in {in_words((job.next_due_at - now).total_seconds())}" if job.next_due_at else "-"
    if job.last_finished_at is None:
        return job.name, every, next_due, "never", "-", "-", "-"
    return (
        job.name,
        every,
        next_due,
        f"{in_words((now - job.last_finished_at).total_seconds())} ago",
        in_words((job.last_duration_ms or 0) / 1000),
        _outcome(job.last_outcome),
        job.last_detail or "-",
    )


def _outcome(outcome: JobOutcome | None) -> Cell:
    if outcome is None:
        return "-"
    return Tinted(outcome, GOOD if outcome is JobOutcome.DONE else BAD)
