"""Who closes the page is gone for the others, at once."""

from tests.browser.test_what_failed import host

__all__ = ["host"]


async def test_a_page_that_is_closed_says_that_it_leaves(stand_in, page, host):
    await page.open(stand_in.url)
    await page.connect()
    assert stand_in.frames_from("anna", "leave") == []
    await page.page.goto("about:blank")
    await stand_in.until(lambda: stand_in.frames_from("anna", "leave"))


async def test_a_page_that_never_entered_leaves_nothing(stand_in, page):
    await page.open(stand_in.url)
    await page.page.goto("about:blank")
    assert stand_in.frames_from("anna", "leave") == []
