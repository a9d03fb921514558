"""Somebody who uses the console: what a person does and sees, by roles and labels."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from deployment import Deployment
from playwright.sync_api import Browser, Locator, Page, expect

# Windows of five seconds are written at their end, and looked for every two and a half.
SEEN_S = 20.0


@contextmanager
def visiting(stack: Deployment, browser: Browser, **likes: Any) -> Iterator["Visitor"]:
    """Have somebody at the console's door; the page asked nobody else, and broke nowhere."""
    visitor = Visitor(stack, browser, **likes)
    try:
        yield visitor
        assert visitor.asked_elsewhere == []
        assert visitor.complaints == []
    finally:
        visitor.leave()


class Visitor:
    """A browser with cookies of its own.

    Args:
        stack: Whose console.
        browser: Chromium.
        width: Of the window, in pixels.
        dark: Whether the person likes it dark.
    """

    def __init__(
        self, stack: Deployment, browser: Browser, *, width: int = 1440, dark: bool = False
    ) -> None:
        self._stack = stack
        self.url = f"{stack.addresses.admin_url}/console"
        self._context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
        )
        self._context.set_default_timeout(15_000)
        self.asked_elsewhere: list[str] = []
        self.complaints: list[str] = []
        self.page: Page = self._context.new_page()
        self.page.on("request", lambda request: self._asked(request.url))
        self.page.on("websocket", lambda socket: self._asked(socket.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _asked(self, url: str) -> None:
        here = urlsplit(self.url).netloc
        parts = urlsplit(url)
        if parts.scheme not in {"data", "blob"} and parts.netloc != here:
            self.asked_elsewhere.append(url)

    def sign_in(self, key: str | None = None) -> None:
        """Sign in, as the administrator where no key is told, and wait for the live page."""
        self.page.goto(self.url)
        self.page.get_by_label("API key").fill(key or self._stack.key)
        self.page.keyboard.press("Enter")
        expect(self.page.get_by_role("link", name="Live")).to_be_visible()

    def go(self, place: str) -> None:
        """Open one of the console's pages by its link."""
        self.page.get_by_role("navigation").get_by_role("link", name=place).click()
        expect(self.page.get_by_role("link", name=place)).to_have_attribute("aria-current", "page")

    def press(self, name: str, within: Locator | None = None) -> None:
        """Press a button."""
        (within or self.page).get_by_role("button", name=name, exact=True).click()

    def choose(self, label: str, option: str) -> None:
        """Take an option of a list."""
        self.page.get_by_label(label, exact=True).click()
        self.page.get_by_role("option", name=option).click()
        expect(self.page.get_by_role("option")).to_have_count(0)

    def tab_to(self, place: Locator) -> None:
        """Press Tab until a place has the focus, as somebody without a mouse does."""
        expect(place).to_be_visible()
        for _ in range(40):
            if place.evaluate("element => element === document.activeElement"):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"forty times Tab do not lead to {place}")

    def status_of(self, path: str) -> int:
        """What a page of the console is answered with."""
        return self._context.request.get(f"{self.url}{path}").status

    def cookies(self) -> list[dict[str, Any]]:
        """The cookies that the browser holds."""
        return [dict(one) for one in self._context.cookies()]

    def second_tab(self) -> Page:
        """Open the console once more, in the same browser."""
        page = self._context.new_page()
        page.goto(self.url)
        expect(page.get_by_role("link", name="Live")).to_be_visible()
        return page

    @property
    def dialog(self) -> Locator:
        """The open dialog."""
        return self.page.get_by_role("dialog")

    def row(self, *words: str) -> Locator:
        """The row of a table that holds all the words."""
        rows = self.page.get_by_role("row")
        for word in words:
            rows = rows.filter(has_text=word)
        return rows

    def sees(self, text: str | re.Pattern[str], within: Locator | None = None) -> None:
        """Wait until a text is to be seen."""
        place = (within or self.page.locator("body")).get_by_text(text).first
        expect(place).to_be_visible(timeout=1000 * SEEN_S)

    def leave(self) -> None:
        """Close the browser's window."""
        self._context.close()
