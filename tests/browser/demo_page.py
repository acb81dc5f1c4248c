"""The demo page as a person uses it: keys in, words and colours out."""

from urllib.parse import urlencode

from playwright.async_api import Locator, Page, expect


class DemoPage:
    """Waits for what a person would wait for."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    async def open(self, gateway: str, name: str = "anna", zone: str = "prontera") -> None:
        await self.page.goto(f"{gateway}/demo/?{urlencode({'zone': zone, 'name': name})}")
        await expect(self.page.locator("body[data-ready]")).to_be_visible()

    async def enter(self) -> None:
        """Press Enter: the button has the focus."""
        await self.page.keyboard.press("Enter")

    async def connect(self) -> None:
        """Enter, and wait for the open data channel."""
        await self.enter()
        await self.sees("channel", "done")

    async def sees(self, step: str, state: str, words: str = "") -> None:
        item = self.page.locator(f'[data-step="{step}"]')
        try:
            await expect(item).to_have_attribute("data-state", state)
            await expect(item).to_contain_text(words)
        except AssertionError as error:
            error.add_note(f"the page says: {await self.page.locator('main').inner_text()}")
            raise

    async def say(self, text: str) -> Locator:
        """Write where the focus is, and send; gives the message as it stands on the page."""
        await self.page.keyboard.type(text)
        await self.page.keyboard.press("Enter")
        return self.page.locator("#messages .mine", has_text=text)

    async def hears(self, text: str) -> None:
        await expect(self.page.locator("#messages")).to_contain_text(text)

    async def fails(self, title: str, words: str) -> None:
        failure = self.page.locator("#failure")
        await expect(failure).to_be_visible()
        await expect(failure).to_contain_text(title)
        await expect(failure).to_contain_text(words)

    async def text_of(self, element_id: str) -> str:
        return await self.page.locator(f"#{element_id}").inner_text()

    def npc(self, npc_id: str) -> Locator:
        return self.page.locator(f'.npc[data-npc="{npc_id}"]')

    async def place_of(self, npc_id: str) -> tuple[float, float]:
        """Where it is drawn, in pixels from the window's upper left."""
        box = await self.npc(npc_id).bounding_box()
        assert box is not None, f"{npc_id} is not drawn"
        return box["x"], box["y"]

    async def places_of(self, npc_id: str, *, until_right_of: float) -> list[tuple[float, float]]:
        """Where it is drawn, frame by frame, on its way to the right."""
        places: list[list[float]] = await self.page.evaluate(_FOLLOW, [npc_id, until_right_of])
        return [(x, y) for x, y in places]


_FOLLOW = """([id, right]) => new Promise((resolve) => {
  const places = [];
  const look = () => {
    const { x, y } = document.querySelector(`.npc[data-npc="${id}"]`).getBoundingClientRect();
    places.push([x, y]);
    if (x > right) resolve(places);
    else requestAnimationFrame(look);
  };
  look();
})"""
