"""The Dockerfile's steps, done in a plain folder: what is copied is enough, what is built starts and is healthy.

Two things differ from what an engine does: the base image is this machine's Python, with the tools of our environment
beside it, and downloads come from uv's cache. The user is not made: nobody but root could.
"""

import asyncio
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
from embedded.ports import free_port
from testkit.eventually import eventually
from testkit.patience import within
from testkit.servers import TestServers

from tests.deployment.environments import ROOT

SERVICE = "session_manager"


class Step(NamedTuple):
    word: str
    rest: str


def stages() -> list[list[Step]]:
    """The steps of each stage, in order, with lines that go on put together."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", "")
    steps = [Step(*line.split(maxsplit=1)) for line in text.splitlines() if line]
    starts = [number for number, step in enumerate(steps) if step.word == "FROM"]
    return [steps[start:end] for start, end in zip(starts, [*starts[1:], len(steps)], strict=True)]


BUILD, IMAGE = stages()
STAYS_OUTSIDE = re.findall(r"^\*\*/(\S+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `/src` was built, and `/venv` made."""
    folder = tmp_path_factory.mktemp("image")
    source = folder / "src"
    source.mkdir()
    for step in BUILD:
        match step:
            case Step("COPY", rest):
                *what, into = rest.split()
                for name in what:
                    _copy(ROOT / name, source / into)
            case Step("RUN", rest):
                _run(rest, folder, {"SERVICE": SERVICE})
            case _:
                assert step.word in {"FROM", "ARG", "WORKDIR"}
    return folder


def _copy(what: Path, into: Path) -> None:
    if what.is_dir():
        shutil.copytree(what, into, ignore=shutil.ignore_patterns(*STAYS_OUTSIDE))
    else:
        into.mkdir(parents=True, exist_ok=True)
        shutil.copy(what, into)


def _run(command: str, folder: Path, environment: Mapping[str, str]) -> None:
    here = command.replace("/venv", f"{folder}/venv").replace("UV_NO_CACHE=1 ", "")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-c", here],
        cwd=folder / "src",
        env={**os.environ, "PATH": path, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"


def test_without_a_service_nothing_is_built_and_it_says_what_to_give(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    first = next(step.rest for step in BUILD if step.word == "RUN")
    with pytest.raises(AssertionError, match="give --build-arg SERVICE="):
        _run(first, tmp_path, {"SERVICE": ""})


def test_the_image_has_the_service_and_nothing_of_its_making(image: Path) -> None:
    assert Step("COPY", "--from=build /venv /venv") in IMAGE
    assert {path.name for path in (image / "venv").iterdir()} & {"wheels", "requirements.txt"} == set()
    assert [path for path in (image / "venv").rglob("tests") if SERVICE in path.parts] == []


@pytest.fixture
def environment(image: Path, servers: TestServers) -> Iterator[dict[str, str]]:
    """What the image sets, with what whoever runs it gives."""
    (told,) = (shlex.split(step.rest) for step in IMAGE if step.word == "ENV")
    of_image = dict(word.split("=", 1) for word in told)
    database = servers.new_database()
    yield {
        **of_image,
        "SERVICE": SERVICE,
        "PATH": f"{image}/venv/bin{os.pathsep}{os.environ['PATH']}",
        "HTTP_HOST": "127.0.0.1",
        "HTTP_PORT": str(free_port()),
        "NATS_URL": servers.nats.url,
        "POSTGRES_URL": database,
    }
    servers.drop_database(database)


async def test_its_command_starts_the_service_and_its_health_check_says_so(
    environment: dict[str, str], tmp_path: Path
) -> None:
    command, check = _words("CMD"), _words("HEALTHCHECK")

    def healthy() -> bool:
        return subprocess.run(check, cwd=tmp_path, env=environment, capture_output=True, check=False).returncode == 0

    assert not healthy()
    with (tmp_path / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(*command, cwd=tmp_path, env=environment, stdout=log, stderr=log)
    try:
        await eventually(lambda: process.returncode is not None or healthy(), within=60, of=f"{SERVICE} healthy")
        assert process.returncode is None, (tmp_path / "log").read_text()
        process.terminate()
        async with within(20):
            assert await process.wait() == 0, "SIGTERM reached the service, which ended in order"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _words(word: str) -> list[str]:
    """The program of a step that has one as a list."""
    (rest,) = (step.rest for step in IMAGE if step.word == word)
    listed: list[str] = json.loads(rest[rest.index("[") :])
    return listed
