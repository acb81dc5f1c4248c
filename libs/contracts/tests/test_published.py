"""Contracts break nobody who speaks as `published.json` says, and are drawn up there as they are."""

from libs.contracts.tests.breaking import breaks
from libs.contracts.tests.publishing import COMMAND, KEPT, as_text, kept, published


def test_nothing_that_is_published_breaks_who_relies_on_it() -> None:
    broken = list(breaks(kept(), published()))

    assert not broken, "\n\n" + "\n\n".join(map(str, broken))


def test_what_is_published_is_drawn_up_as_it_is() -> None:
    drawn_up = KEPT.read_text() == as_text(published())

    assert drawn_up, f"{KEPT.name} is not of today. If nothing breaks: {COMMAND}"
