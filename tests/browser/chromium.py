"""Headless Chromium, launched so that WebRTC works on loopback and nothing else is asked of the network."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.async_api import Browser, Route, async_playwright

from tests.browser.page import SCRIPT, BrowserPage, Identity

INSTALL = "make test-packages, or apt-get install --no-install-recommends chromium libatomic1 fonts-dejavu-core"

FLAGS = (
    "--no-sandbox",  # its sandbox refuses to start as root
    # Permission also makes Chromium gather from every interface: a page without it has none on loopback.
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--allow-loopback-in-peer-connection",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
    # No page is in front: none may be slowed down for it.
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--disable-gpu",
    "--mute-audio",
    # Quiet on the network.
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE localhost , EXCLUDE 127.0.0.1 , EXCLUDE [::1]",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-pings",
)


class ChromiumMissingError(Exception):
    """No Chromium on this machine. The message has the command that installs it."""


def executable() -> str:
    """The path of Chromium: ``$CHROMIUM``, or the one on the path.

    Raises:
        ChromiumMissingError: there is none.
    """
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        raise ChromiumMissingError(f"Chromium is not installed. As root: {INSTALL}")
    return found


@dataclass(slots=True)
class Chromium:
    """A running browser. Every page has a context of its own, so that pages share nothing."""

    playwright: Browser
    pages: list[BrowserPage] = field(default_factory=list)

    async def open(self, url: str, identity: Identity | None = None, *, html: str | None = None) -> BrowserPage:
        """Open a page with an identity's camera and microphone, or with the browser's own fake ones.

        With ``html`` the address is answered with that text and no server is asked.
        """
        context = await self.playwright.new_context(viewport={"width": 800, "height": 600})
        await context.add_init_script(SCRIPT)
        if identity is not None:
            await context.add_init_script(identity.script())
        page = BrowserPage(await context.new_page(), identity)
        self.pages.append(page)
        if html is not None:

            async def answer(route: Route) -> None:
                await route.fulfill(body=html, content_type="text/html")

            await page.playwright.route(url, answer)
        await page.playwright.goto(url)
        return page

    async def describe(self, folder: Path) -> str:
        """Screenshots, console and peer connections of the open pages, for a test that failed."""
        lines: list[str] = []
        for index, page in enumerate(self.pages):
            if page.playwright.is_closed():
                lines.append(f"page {index}: closed")
                continue
            shot = folder / f"page{index}.png"
            await page.playwright.screenshot(path=shot)
            lines.append(f"page {index} ({page.identity}): {shot}")
            lines += [f"    {state}" for state in await page.evaluate("() => harness.states")]
            lines += [f"    sees {picture}" for picture in await page.pictures()]
        for index, page in enumerate(self.pages):
            lines += [f"page {index} console: {line}" for line in page.console]
        return "\n".join(lines)


@asynccontextmanager
async def chromium(*arguments: str) -> AsyncIterator[Chromium]:
    """Launch headless Chromium with further command-line arguments; it ends with the context.

    Raises:
        ChromiumMissingError: it is not installed.
    """
    path = executable()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=[*FLAGS, *arguments])
        try:
            yield Chromium(browser)
        finally:
            await browser.close()
