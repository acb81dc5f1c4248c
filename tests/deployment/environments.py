"""Each service in an environment of its own, made by deploy/install.sh as the document says.

Workers of one test run share them: whoever asks first makes them, and the others wait.
"""

import fcntl
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path, PurePath

import pytest

ROOT = Path(__file__).parents[2]

AT_ONCE = 2
"""An install is mostly uv linking files: more side by side only queue for the disk."""


@dataclass(frozen=True)
class Environment:
    service: str
    directory: Path

    @property
    def command(self) -> tuple[str, ...]:
        """How the image and the unit start it; flags of Python may come behind the first word."""
        return (str(self.directory / "bin/python"), "-P", "-m", self.service)

    @property
    def packages(self) -> Path:
        (found,) = self.directory.glob("lib/python*/site-packages")
        return found

    @property
    def size_mb(self) -> float:
        """Of all its files, in millions of bytes, before Python has compiled any: what a layer of an image has."""
        made = {"wheels", "__pycache__"}
        files = (Path(folder, name) for folder, _, names in os.walk(self.directory) for name in names)
        ours = (file for file in files if not made & {*file.relative_to(self.directory).parts})
        return sum(file.lstat().st_size for file in ours) / 1e6

    def modules(self) -> dict[str, frozenset[str]]:
        """What each of its distributions brings."""
        return modules_of(distributions(path=[str(self.packages)]))


def modules_of(shipped: Iterable[Distribution]) -> dict[str, frozenset[str]]:
    """What each brings, by the name under which it is imported."""
    return {distribution.metadata["Name"]: frozenset(_modules(distribution)) for distribution in shipped}


def install(services: Iterable[str], into: Path, source: Path = ROOT) -> None:
    """Make an environment for each of them under `into`, out of a tree like ours."""
    # uv is where our own tools are, and takes the Python that stands there too.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    def one(service: str) -> None:
        command = [str(source / "deploy/install.sh"), service, str(into / service)]
        done = subprocess.run(command, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(one, services))


def shared(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A directory that `make` has filled, once for all workers of this run."""
    own = factory.getbasetemp()
    common = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    directory, made = common / name, common / f"{name}.made"
    with (common / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            make(directory)
            made.touch()
    return directory


def environments(directory: Path, services: Iterable[str]) -> Mapping[str, Environment]:
    return {service: Environment(service, directory / service) for service in services}


def _modules(shipped: Distribution) -> Iterator[str]:
    for file in shipped.files or ():
        if file.suffix in {".py", ".so"} and ".." not in file.parts:
            yield _name(file)


def _name(file: PurePath) -> str:
    stem = file.name.partition(".")[0]
    return ".".join(file.parent.parts if stem == "__init__" else (*file.parent.parts, stem))
