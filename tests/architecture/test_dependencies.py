"""Each package of ours names what it imports: nothing is there by the luck of another's dependencies."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path

import pytest

from tests.deployment.environments import modules_of

ROOT = Path(__file__).parents[2]
MEMBERS = sorted(path.parent for path in ROOT.glob("*/*/pyproject.toml"))

OWNERS = {module: name for name, modules in modules_of(distributions()).items() for module in modules}
OURS = {member.name: member.name for member in MEMBERS}


@pytest.mark.parametrize("member", MEMBERS, ids=lambda member: member.name)
def test_it_names_each_distribution_that_it_imports(member: Path) -> None:
    imported = {_normal(owner) for name in _imports(member / "src") if (owner := _owner(name)) is not None}
    assert imported - {_normal(member.name)} - _named(member) == set()


def _named(member: Path) -> set[str]:
    project = tomllib.loads((member / "pyproject.toml").read_text())["project"]
    optional = (name for names in project.get("optional-dependencies", {}).values() for name in names)
    return {_normal(re.split(r"[\[<>=~; ]", name)[0]) for name in (*project["dependencies"], *optional)}


def _imports(source: Path) -> Iterator[str]:
    for path in source.rglob("*.py"):
        for statement in ast.walk(ast.parse(path.read_text())):
            if isinstance(statement, ast.Import):
                yield from (alias.name for alias in statement.names)
            elif isinstance(statement, ast.ImportFrom) and statement.module and not statement.level:
                yield from (f"{statement.module}.{alias.name}" for alias in statement.names)


def _owner(name: str) -> str | None:
    """Whose module it is, or what it is imported from; None for Python's own."""
    top = name.partition(".")[0]
    if top in sys.stdlib_module_names:
        return None
    module = name
    while module not in OWNERS | OURS:
        assert "." in module, f"nobody brings {name}"
        module = module.rpartition(".")[0]
    return (OWNERS | OURS)[module]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
