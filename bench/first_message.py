"""Opens the demo's page as a newcomer does, says something, and waits until it comes back from the host.

.venv/bin/python bench/first_message.py http://127.0.0.1:8001/demo/?zone=prontera
"""

import asyncio
import shutil
import sys

from playwright.async_api import async_playwright, expect

WORDS = "hello"

WITHIN_MS = 30_000

FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-features=WebRtcHideLocalIpsWithMdns")


async def main(page_url: str) -> None:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium-headless-shell"),
            args=[*FLAGS, "--allow-loopback-in-peer-connection"],
        )
        expect.set_options(timeout=WITHIN_MS)
        page = await browser.new_page()
        await page.goto(page_url)
        await expect(page.locator("body[data-ready]")).to_be_visible()
        await page.keyboard.press("Enter")
        await expect(page.locator('[data-step="channel"]')).to_have_attribute("data-state", "done")
        await page.keyboard.type(WORDS)
        await page.keyboard.press("Enter")
        await expect(page.locator("#messages .mine", has_text=WORDS)).not_to_have_class("sending")
        print(f"the first message is back: {await page.locator('#messages .mine').get_attribute('title')}")
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
