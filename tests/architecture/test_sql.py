"""SQL is read without counting and changed in one place: parameters have names, and a set of states is said once.

What has more than `$1` is a constant of its module, right under a line like `# $1 now, $2 traceparent, $3 number`.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PARAMETER = re.compile(r"\$([1-9]\d*)")
NAMED = r"\$[1-9]\d* [a-z]\w*"
LINE = re.compile(rf"# {NAMED}(, {NAMED})*,?")

SET = re.compile(r"\bIN \(('\w+'(?:, '\w+')+)\)")


@dataclass(frozen=True)
class Module:
    """A file, and what its names stand for as far as constants and functions go."""

    tree: ast.Module
    lines: list[str]
    meanings: dict[str, ast.stmt] = field(default_factory=dict)
    imports: dict[str, tuple[str, str]] = field(default_factory=dict)


def read(text: str) -> Module:
    module = Module(ast.parse(text), text.splitlines())
    for statement in module.tree.body:
        match statement:
            case ast.Assign(targets=[ast.Name(name)]) | ast.AnnAssign(target=ast.Name(name)) | ast.FunctionDef(name):
                module.meanings[name] = statement
            case ast.ImportFrom(module=str(source), names=names):
                module.imports.update({each.asname or each.name: (source, each.name) for each in names})
    return module


@cache
def module_named(name: str) -> Module | None:
    """None where it is not of this tree."""
    files = [*ROOT.glob(f"*/*/src/{name.replace('.', '/')}.py")]
    return read(files[0].read_text()) if files else None


def parameters(statement: ast.stmt, module: Module) -> list[int]:
    """Those in its text, and in what it is put together from: other constants, and functions such as `telling`."""
    numbers: set[int] = set()
    seen = {id(statement)}
    unread: list[tuple[ast.AST, Module]] = [(statement, module)]
    while unread:
        part, home = unread.pop()
        for node in without_docstrings(part):
            match node:
                case ast.Constant(value=str(text)):
                    numbers.update(map(int, PARAMETER.findall(text)))
                case ast.Name(id=name) if (found := meaning(name, home)) and id(found[0]) not in seen:
                    seen.add(id(found[0]))
                    unread.append(found)
    return sorted(numbers)


def meaning(name: str, module: Module) -> tuple[ast.stmt, Module] | None:
    if name in module.meanings:
        return module.meanings[name], module
    source, original = module.imports.get(name, ("", ""))
    imported = module_named(source) if source else None
    return (imported.meanings[original], imported) if imported and original in imported.meanings else None


def without_docstrings(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for part in ast.iter_child_nodes(node):
        if not (isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant)):
            yield from without_docstrings(part)


def faults(module: Module) -> Iterator[tuple[int, str]]:
    """The line of each statement whose parameters are not named as they are, and what is wrong."""
    constants = {name: node for name, node in module.meanings.items() if not isinstance(node, ast.FunctionDef)}
    for name, statement in constants.items():
        there, named = parameters(statement, module), names_above(statement.lineno, module)
        if named != there and (named or max(there) > 1):
            yield statement.lineno, f"{name} {difference(there, named)}"
    elsewhere = ast.Module([part for part in module.tree.body if part not in constants.values()], [])
    for node in without_docstrings(elsewhere):
        match node:  # one of a single line has its arguments right behind it
            case ast.Constant(value=str(text)) if "\n" in text and set(PARAMETER.findall(text)) - {"1"}:
                yield node.lineno, "a statement with parameters that is no constant of its module"


def names_above(line: int, module: Module) -> list[int]:
    """The numbers that the comment right above this line has names for, in its order."""
    numbers: list[int] = []
    for above in reversed(module.lines[: line - 1]):
        if not LINE.fullmatch(above):
            break
        numbers = [int(number) for number in PARAMETER.findall(above)] + numbers
    return numbers


def difference(there: list[int], named: list[int]) -> str:
    missing = [f"has ${number} without a name" for number in there if number not in named]
    surplus = [f"names ${number}, which it has not" for number in named if number not in there]
    return ", ".join(missing + surplus) or f"names them in another order: {named}"


@pytest.mark.parametrize("part", ["libs", "services"])
def test_every_statement_names_its_parameters(part: str) -> None:
    files = sorted(ROOT.glob(f"{part}/*/src/**/*.py"))
    found = [
        f"{file.relative_to(ROOT)}:{line} {what}" for file in files for line, what in faults(read(file.read_text()))
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('# $1 now, $2 number\n_A = "SELECT $1, $2"', []),
        ('# $1 now,\n# $2 number\n_A = f"{_B} $2"\n_B = "$1"', []),
        ('_A = "SELECT $1"', []),
        ('_A = "SELECT $1, $2"', ["_A has $1 without a name, has $2 without a name"]),
        ('# $1 now\n_A = "SELECT $1, $2"', ["_A has $2 without a name"]),
        ('# $1 now, $2 number, $3 reason\n_A = "SELECT $1, $2"', ["_A names $3, which it has not"]),
        ('# $2 number, $1 now\n_A = "SELECT $1, $2"', ["_A names them in another order: [2, 1]"]),
        ('# $1 now\n_A = telling("SELECT $1")\ndef telling(a):\n    return a + "$2"', ["_A has $2 without a name"]),
        (
            '# $1 now\n_A = telling("SELECT $1")\nfrom session_manager.store.facts import telling',
            ["_A has $2 without a name"],
        ),
        ('def work():\n    """As $1\n    and $2."""\n    execute("SELECT $1, $2", now, number)', []),
        (
            'def work():\n    execute("""SELECT $1,\n$2""", now, number)',
            ["a statement with parameters that is no constant of its module"],
        ),
    ],
)
def test_a_name_too_few_or_too_many_is_told(text: str, told: list[str]) -> None:
    assert [what for _, what in faults(read(text))] == told


@pytest.mark.parametrize("service", sorted(ROOT.glob("services/*/src/*")), ids=lambda path: path.name)
def test_no_statement_repeats_a_set_of_states(service: Path) -> None:
    sources = [file.read_text() for file in service.glob("**/*.py")]
    spelled = Counter(tuple(sorted(found.split(", "))) for source in sources for found in SET.findall(source))
    assert [states for states, times in spelled.items() if times > 1] == [], "derive it, as `listed` does"
