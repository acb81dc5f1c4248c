"""Documents name files that are there: a newcomer who follows one arrives."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*/*/README.md"), *ROOT.glob("bench/*.md")]
SOURCES = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("*/*/src/**/*") if "__pycache__" not in path.parts}


def _ids(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("document", DOCUMENTS, ids=_ids)
def test_every_link_of_a_document_leads_somewhere(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_every_file_that_the_map_names_exists() -> None:
    named = re.findall(r"`([\w/]+\.(?:py|js))`", (ROOT / "docs/map.md").read_text())
    assert named
    assert [name for name in named if not any(path.endswith(f"/{name}") for path in SOURCES)] == []
