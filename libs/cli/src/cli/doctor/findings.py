"""What a check found, and what to do about it."""

from collections.abc import Iterable
from enum import StrEnum
from textwrap import wrap

from pydantic import BaseModel
from rich.text import Text

from cli.tables import harmless, room

NARROWEST = 20


class Verdict(StrEnum):
    """How it stands."""

    OK = "ok"
    WARNING = "warning"
    """It works, but not for long or not for all."""
    FAILED = "failed"


class Check(StrEnum):
    """What is looked at, in the order in which it is told."""

    VERSIONS = "versions"
    PORTS = "ports"
    SERVICES = "services"
    CLOCKS = "clocks"
    JETSTREAM = "jetstream"
    MIGRATIONS = "migrations"
    TURN = "turn"
    DISK = "disk"
    OPEN_FILES = "open files"


class Finding(BaseModel):
    """One line."""

    check: Check
    about: str
    verdict: Verdict
    detail: str
    remedy: str | None = None
    """What to do; None where nothing is."""


class Diagnosis(BaseModel):
    """All of them, and how many of each verdict."""

    findings: tuple[Finding, ...]
    ok: int
    warnings: int
    failed: int

    @classmethod
    def of(cls, findings: Iterable[Finding]) -> "Diagnosis":
        found = tuple(sorted(findings, key=lambda finding: list(Check).index(finding.check)))
        counts = {verdict: sum(finding.verdict is verdict for finding in found) for verdict in Verdict}
        return cls(
            findings=found,
            ok=counts[Verdict.OK],
            warnings=counts[Verdict.WARNING],
            failed=counts[Verdict.FAILED],
        )


def ok(check: Check, about: str, detail: str) -> Finding:
    return Finding(check=check, about=about, verdict=Verdict.OK, detail=detail)


def warning(check: Check, about: str, detail: str, remedy: str) -> Finding:
    return Finding(check=check, about=about, verdict=Verdict.WARNING, detail=detail, remedy=remedy)


def failed(check: Check, about: str, detail: str, remedy: str) -> Finding:
    return Finding(check=check, about=about, verdict=Verdict.FAILED, detail=detail, remedy=remedy)


TINTS = {Verdict.OK: "green", Verdict.WARNING: "yellow", Verdict.FAILED: "bold red"}


CHECK_AT, BODY_AT = 9, 21


def lines_of(diagnosis: Diagnosis) -> Iterable[Text]:
    """Each finding in a line or two, what to do about it below; the sum in the last."""
    for finding in diagnosis.findings:
        said, *more = _wrapped(f"{finding.about}: {finding.detail}")
        yield Text.assemble(
            (f"{finding.verdict:<{CHECK_AT}}", TINTS[finding.verdict]), finding.check.ljust(BODY_AT - CHECK_AT), said
        )
        yield from (Text(" " * BODY_AT + line) for line in more)
        if finding.remedy:
            yield from (Text(" " * BODY_AT + line) for line in _wrapped(f"-> {finding.remedy}", hanging="   "))
    yield Text()
    yield Text(f"{diagnosis.ok} ok, {_of(diagnosis.warnings, 'warning')}, {diagnosis.failed} failed")


def _wrapped(words: str, hanging: str = "") -> list[str]:
    """In lines that fit the terminal beside what stands before them; in a pipe in one."""
    width = room()
    if width is None:
        return [harmless(words)]
    return wrap(harmless(words), max(NARROWEST, width - BODY_AT), subsequent_indent=hanging, break_on_hyphens=False)


def _of(count: int, thing: str) -> str:
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"
