"""A reader who does what README and docs say gets through; `walk.py` has what that means."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.journeys.walk import ROOT, Clone, fences, fresh_clone, walking

README = ROOT / "README.md"
DOCUMENTS = {path.name: path for path in (ROOT / "docs").glob("*.md") if fences(path)}
IN_A_BROWSER = ("getting-started.md", "writing-a-web-client.md")
"""These are done in tests/browser."""


@pytest.fixture(scope="module")
def suites() -> Iterator[tuple[Clone, Clone]]:
    """What README's commands start: a suite that lets everybody in, with a host on it, and one that asks who calls."""
    with fresh_clone() as usual, fresh_clone() as enforced, walking(usual, enforced) as walk:
        asyncio.run(walk.go(fences(README)))
        yield usual, enforced


@pytest.mark.servers
@pytest.mark.parametrize("document", sorted(DOCUMENTS.keys() - {*IN_A_BROWSER}))
async def test_what_a_document_says_works_beside_the_suites_of_the_readme(
    suites: tuple[Clone, Clone], document: str
) -> None:
    with walking(*suites) as walk:
        await walk.go(fences(DOCUMENTS[document]))
