"""Documents name files that are there: a newcomer who follows one arrives."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture import codes, configuration

ROOT = Path(__file__).parents[2]
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*/*/README.md"), *ROOT.glob("bench/*.md")]
NOT_HERE = {"Docker", "Kubernetes", "systemd", "PostgreSQL"}
"""What the machine that runs documents has not; PostgreSQL, a server of one's own, test_pg_dump.py lends."""
PACKAGES = {path.name: path for kind in ("libs", "services") for path in ROOT.glob(f"{kind}/*/src/*")}


def _ids(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("document", DOCUMENTS, ids=_ids)
def test_every_link_of_a_document_leads_somewhere(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_every_package_says_what_it_is() -> None:
    members = [project.parent for project in ROOT.glob("*/*/pyproject.toml")]
    assert [member.name for member in members if not (member / "README.md").exists()] == []


def test_every_path_of_the_map_is_in_the_package_named_before_it() -> None:
    named = list(_paths_of_the_map())
    assert named
    assert [f"{package} {path}" for package, path in named if not (PACKAGES[package] / path).exists()] == []


def _paths_of_the_map() -> Iterator[tuple[str, str]]:
    package = ""
    for line in (ROOT / "docs/map.md").read_text().splitlines():
        if heading := re.match(r"\| .*where in (\w+) \|", line):
            package = heading[1]
        elif line.startswith("| "):
            for word in re.findall(r"`[^`]+`|\w+", line.split("|", 2)[2]):
                if word in PACKAGES:
                    package = word
                elif re.fullmatch(r"`[\w/]+(\.py|\.js|/)`", word):
                    yield package, word.strip("`")
        elif not line.startswith("|"):
            package = ""


def test_what_the_site_tells_language_models_names_every_document() -> None:
    told = (ROOT / "services/signaling_gateway/src/signaling_gateway/web/llms.txt").read_text()
    named = re.findall(r"`(docs/[\w.-]+)`", told)
    assert sorted(named) == sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("docs/*.md"))


def test_every_test_that_a_decision_names_exists() -> None:
    named = {
        name for page in ROOT.glob("docs/decisions/*.md") for name in re.findall(r"`(test_\w+)`", page.read_text())
    }
    assert named
    tests = "\n".join(file.read_text() for file in ROOT.glob("*/*/tests/**/test_*.py"))
    assert [name for name in named if f"def {name}(" not in tests] == []


def test_the_configuration_is_what_the_settings_classes_say() -> None:
    rewrite = "rewrite it: .venv/bin/python -m tests.architecture.configuration"
    assert configuration.DOCUMENT.read_text() == configuration.document(), rewrite


def test_the_table_of_codes_is_what_the_contracts_say() -> None:
    assert codes.DOCUMENT.read_text() == codes.document(), "rewrite it: .venv/bin/python -m tests.architecture.codes"


@pytest.mark.parametrize("document", DOCUMENTS, ids=_ids)
def test_every_part_of_a_document_that_is_linked_to_is_there(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]*)#([^)]+)\)", document.read_text())
    missing = [
        f"{path}#{part}" for path, part in links if part not in _parts(document.parent / path if path else document)
    ]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=_ids)
def test_every_command_of_a_document_is_run_or_says_what_it_needs(document: Path) -> None:
    fences = re.findall(r"^```([^\n]*)\n.*?^```$", document.read_text(), re.MULTILINE | re.DOTALL)
    assert [fence for fence in fences if not fence] == [], "walk.py has what a fence may say"
    assert set(re.findall(r"needs=(\S+)", "\n".join(fences))) <= NOT_HERE


def _parts(document: Path) -> set[str]:
    """The anchors of its headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
