"""What a person does in a browser, in the words of the page."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from demo.story import Place

CHROMIUM_OPTIONS = [
    "--no-sandbox",  # root has none
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",  # H5Web draws with WebGL
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
]


class Tab:
    """One tab of one person's browser."""

    def __init__(self, bed: Place, name: str, page: Page, screenshots: Path) -> None:
        self.bed = bed
        self.name = name
        self.page = page
        self._screenshots = screenshots

    def keep(self, name: str) -> None:
        """Take a screenshot."""
        self.page.screenshot(path=self._screenshots / f"{name}.png")

    # -- The hub ----------------------------------------------------------------------------------

    def log_in(self) -> None:
        self.page.goto(f"{self.bed.url}hub/login")
        self.page.get_by_label("Username").fill(self.name)
        self.page.get_by_label("Password").fill(self.bed.password)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url(re.compile(r"/hub/"))

    def log_out(self) -> None:
        self.page.get_by_role("link", name="Log out").click()
        self.page.wait_for_url(re.compile(r"/hub/"))

    def start_session(self) -> None:
        """Press the control panel's button, wait for the session's page."""
        self.page.goto(f"{self.bed.url}hub/home")
        self.page.get_by_role("button", name=re.compile("My Server")).last.click()
        self.page.wait_for_url(re.compile(f"/user/{self.name}/"), timeout=60_000)

    # -- The session ------------------------------------------------------------------------------

    def go_to(self, path: str) -> None:
        """Paste an absolute path."""
        self.page.get_by_role("textbox", name="Path", exact=True).fill(path)
        self.page.get_by_role("button", name="Go", exact=True).click()

    def open_entry(self, name: str) -> None:
        """Click an entry of the folder shown."""
        table = self.page.get_by_role("table", name="Folder contents")
        table.get_by_role("button", name=re.compile(rf"\b{re.escape(name)}$")).first.click()

    def choose(self, tab: str) -> None:
        self.page.get_by_role("tab", name=tab, exact=True).click()

    def set_parameter(self, step: str, parameter: str, value: str) -> None:
        self.page.get_by_role("button", name=re.compile(rf"Step \d+: {step}")).click()
        field = self.page.get_by_role("textbox", name=parameter, exact=True)
        field.fill(value)
        field.blur()

    def picture_is_drawn(self, name: re.Pattern[str]) -> None:
        """Wait until a picture of this name has arrived and holds more than one grey."""
        picture = self.page.get_by_role("img", name=name).first
        expect(picture).to_be_visible()
        self.page.wait_for_function(PICTURE_HAS_CONTRAST, arg=picture.element_handle())


PICTURE_HAS_CONTRAST = """image => {
    const element = image.tagName === 'IMG' ? image : image.querySelector('img, canvas')
    const source = element || image
    const width = source.naturalWidth || source.width
    const height = source.naturalHeight || source.height
    if (!width || !height) return false
    const canvas = document.createElement('canvas')
    canvas.width = width
    canvas.height = height
    const context = canvas.getContext('2d')
    context.drawImage(source, 0, 0)
    const data = context.getImageData(0, 0, width, height).data
    let low = 255, high = 0
    for (let i = 0; i < data.length; i += 4) {
        low = Math.min(low, data[i])
        high = Math.max(high, data[i])
    }
    return high - low > 50
}"""
