"""A document's commands, done as its reader would do them.

What a fence of a document is, its first words say:

    ```sh                    run in one shell per document, in order; a command that fails fails the test
    ```sh until="ready"      in a terminal of its own until the document ends (Ctrl-C), once it has printed that word
    ```sh enforced           the same as either, beside a suite in enforced mode
    ```sh needs=Docker       left out: it needs what this machine has not; needs=PostgreSQL is done in test_pg_dump.py
    ```python file=host.py   saved under that name (```html too)

Anything else is there to be read. Three things differ from what a reader has. The folder looks like a clone, but is a
fresh one of links, so `.data` and what a document saves are its own. The ports 8001, 4222 and 8080 are replaced by free
ones wherever they stand, and `p2p up` is told by P2P_HTTP_PORT and P2P_NATS_PORT. And curl fails on a refusal: a
.curlrc says so.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from embedded.ports import free_ports
from testkit.eventually import eventually
from testkit.patience import patient

ROOT = Path(__file__).parents[2]
NOT_CLONED = {".git", ".venv", ".data"}
PATIENCE_S = 60
"""For one fence: the longest starts a suite, on a machine that does much else."""

_FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_WORDS = re.compile(r'([\w-]+)(?:=(?:"([^"]*)"|(\S+)))?')


@dataclass(frozen=True)
class Fence:
    language: str
    marks: dict[str, str]
    text: str

    @property
    def file(self) -> str | None:
        return self.marks.get("file")

    @property
    def until(self) -> str | None:
        return self.marks.get("until")


def fences(document: Path, needing: str | None = None) -> list[Fence]:
    """Those that are run or saved, in order; or those that need this, which a test of its own has."""
    found = [
        Fence(language, {name: quoted or bare for name, quoted, bare in _WORDS.findall(marks)}, text)
        for language, marks, text in _FENCE.findall(document.read_text())
    ]
    return [fence for fence in found if (fence.language == "sh" and fence.marks.get("needs") == needing) or fence.file]


class Clone:
    """A folder that looks like a fresh clone after `make setup`, with ports of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ports = dict(zip(("8001", "4222", "8080"), free_ports(3), strict=True))
        for entry in ROOT.iterdir():
            if entry.name not in NOT_CLONED:
                (path / entry.name).symlink_to(entry)
        (path / ".venv").mkdir()
        for entry in Path(sys.prefix).iterdir():
            if entry.name != ".made":
                (path / ".venv" / entry.name).symlink_to(entry)
        # Newer than all that it is made of: the environment there is ready, and not the test's to change.
        (path / ".venv/.made").touch()
        (path / ".curlrc").write_text("fail-with-body\nsilent\nshow-error\n")

    def here(self, text: str) -> str:
        """With this clone's ports."""
        return re.sub(r"\b(8001|4222|8080)\b", lambda port: str(self._ports[port[0]]), text)

    def save(self, name: str, text: str) -> None:
        (self.path / name).write_text(self.here(text))

    @property
    def environment(self) -> dict[str, str]:
        ports = {"P2P_HTTP_PORT": self.here("8001"), "P2P_NATS_PORT": self.here("4222")}
        return {**os.environ, **ports, "CURL_HOME": str(self.path), "PYTHONUNBUFFERED": "1"}

    def start(self, *command: str, output: Path, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
        with output.open("wb") as written:
            return subprocess.Popen(
                command,
                cwd=self.path,
                env=self.environment,
                stdin=stdin,
                stdout=written,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                text=True,
            )


class Shell:
    """One bash for a document's commands; `set -e` ends it with the first that fails."""

    def __init__(self, clone: Clone) -> None:
        self._clone = clone
        self._output = clone.path / ".shell"
        self._process = clone.start("bash", "-eo", "pipefail", output=self._output, stdin=subprocess.PIPE)

    def __enter__(self) -> Self:
        self._say("trap 'echo \"failed: $BASH_COMMAND\"' ERR")
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()

    async def run(self, text: str) -> None:
        """Return when all of it was done."""
        done = self._clone.path / ".done"
        done.unlink(missing_ok=True)
        self._clone.save(".commands", text)
        self._say("source .commands </dev/null; touch .done")
        await eventually(
            lambda: done.exists() or self._process.poll() is not None, within=PATIENCE_S, of=f"an end of\n{text}"
        )
        assert done.exists(), f"{text}\n{self.output}"

    @property
    def output(self) -> str:
        return self._output.read_text(errors="replace")

    def _say(self, line: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()


class Terminal:
    """Another one, in which something runs until Ctrl-C."""

    def __init__(self, clone: Clone, text: str, number: int = 0) -> None:
        self._text = clone.here(text)
        self._output = clone.path / f".terminal-{number}"
        self._process = clone.start("bash", "-ec", self._text, output=self._output)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGINT)  # as a terminal does: to all that runs in it
            self._process.wait(patient(PATIENCE_S))
        finally:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def shows(self, words: str) -> None:
        await eventually(
            lambda: words in self.output or self._process.poll() is not None,
            within=PATIENCE_S,
            of=f"{words!r} of\n{self._text}",
        )
        assert words in self.output, f"{self._text}\n{self.output}"

    @property
    def output(self) -> str:
        return self._output.read_text(errors="replace")


class Walk:
    """Through one document; what runs in terminals goes on until the block ends."""

    def __init__(self, stack: ExitStack, usual: Clone, enforced: Clone) -> None:
        self._stack = stack
        self._clones = {False: usual, True: enforced}
        self._shells = {strict: stack.enter_context(Shell(clone)) for strict, clone in self._clones.items()}
        self.terminals: list[Terminal] = []

    async def go(self, steps: Iterable[Fence]) -> None:
        for fence in steps:
            await self._do(fence)

    async def _do(self, fence: Fence) -> None:
        strict = "enforced" in fence.marks
        if fence.file:
            for clone in self._clones.values():
                clone.save(fence.file, fence.text)
        elif fence.until is not None:
            terminal = Terminal(self._clones[strict], fence.text, len(self.terminals))
            self.terminals.append(self._stack.enter_context(terminal))
            await terminal.shows(fence.until)
        else:
            await self._shells[strict].run(fence.text)


@contextmanager
def walking(usual: Clone, enforced: Clone) -> Iterator[Walk]:
    """Each terminal that the walk opened is left by Ctrl-C, the last one first."""
    with ExitStack() as stack:
        yield Walk(stack, usual, enforced)


@contextmanager
def fresh_clone() -> Iterator[Clone]:
    with tempfile.TemporaryDirectory(prefix="p2p-clone-", ignore_cleanup_errors=True) as directory:
        yield Clone(Path(directory))
