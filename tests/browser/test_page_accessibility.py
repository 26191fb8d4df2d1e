"""axe-core over every view of the node's page: no serious fault, in light and dark, wide and narrow."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import ViewportSize

from tests.browser.chromium import Chromium
from tests.browser.page import BrowserPage, Identity
from tests.browser.test_page import ROOM, join, press, share
from tests.interop.test_livekit_sdk import URL, node

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

ALICE, BRUNO, SCREEN = Identity(number=5), Identity(number=42), Identity(number=33)
PHONE: ViewportSize = {"width": 390, "height": 780}


@pytest.fixture(scope="module")
def axe() -> str:
    """axe-core as npm has it."""
    file = Path(__file__).parent / "livekit" / "node_modules" / "axe-core" / "axe.min.js"
    if not file.exists():
        pytest.fail("axe-core is not there: make tests/browser/livekit/node_modules/.installed", pytrace=False)
    return file.read_text()


Check = Callable[[BrowserPage, str], Awaitable[None]]


@pytest_asyncio.fixture
async def check(axe: str) -> AsyncIterator[Check]:
    """Fails where a view has a serious or critical fault; in both colour schemes."""

    async def judge(page: BrowserPage, view: str) -> None:
        for scheme in ("light", "dark"):
            await page.playwright.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            # By the driver, past the page's own policy, which lets in no script but the page's.
            await page.evaluate(f"() => {{ {axe}; return true }}")
            found: list[dict[str, Any]] = (await page.evaluate("() => axe.run(document)"))["violations"]
            serious = [
                f"{fault['id']} ({fault['impact']}): {[one['html'] for one in fault['nodes']][:3]}"
                for fault in found
                if fault["impact"] in ("serious", "critical")
            ]
            assert not serious, f"{view}, {scheme}: " + "; ".join(serious)

    yield judge


async def test_no_view_shuts_anybody_out(browser: Chromium, check: Check) -> None:
    async with node():
        home = await browser.open(URL)
        await check(home, "start page")

        alice = await browser.open(ROOM, ALICE)
        await alice.playwright.wait_for_selector(".preview video")
        await check(alice, "door")
        await alice.playwright.set_viewport_size(PHONE)
        await check(alice, "door of a phone")
        await alice.playwright.set_viewport_size({"width": 1280, "height": 800})
        await alice.playwright.fill("input[name=name]", "Alice")
        await alice.playwright.click("button[type=submit]")
        await alice.playwright.wait_for_selector(".alone")
        await check(alice, "alone")

        bruno = await join(browser, "Bruno", BRUNO)
        await alice.wait_to_see(BRUNO)
        await press(bruno, "hand")
        await alice.playwright.wait_for_selector(".raised")
        await check(alice, "grid")
        for panel in ("chat", "people", "devices"):
            await press(alice, panel)
            await alice.playwright.wait_for_selector(".panel")
            await check(alice, panel)
        await press(alice, "chat")
        await alice.playwright.fill(".write input", "Hello")
        await alice.playwright.press(".write input", "Enter")
        await bruno.playwright.wait_for_selector(".badge")
        await check(bruno, "unread message")
        await check(alice, "chat with a message")
        await alice.playwright.set_viewport_size(PHONE)
        await check(alice, "chat of a phone")
        await press_escape(alice)
        await check(alice, "grid of a phone")
        await share(bruno, SCREEN)
        await alice.playwright.wait_for_selector(".stage")
        await check(alice, "stage of a phone")
        await alice.playwright.set_viewport_size({"width": 1280, "height": 800})
        await check(alice, "stage")
        await press(alice, "leave")
        await check(alice, "left")


async def press_escape(page: BrowserPage) -> None:
    await page.playwright.focus(".write input")
    await page.playwright.keyboard.press("Escape")
    await page.playwright.wait_for_selector(".panel", state="detached")


@pytest.mark.parametrize(
    "problem",
    ["room_full", "name_taken", "login_required", "node_gone"],
)
async def test_no_problem_shuts_anybody_out(browser: Chromium, check: Check, problem: str) -> None:
    async with node():
        page = await browser.open("about:blank", ALICE)
        await page.playwright.route("**/api/token", lambda route: route.fulfill(status=403, json={"error": problem}))
        await page.playwright.goto(ROOM)
        await page.playwright.fill("input[name=name]", "Alice")
        await page.playwright.click("button[type=submit]")
        await page.playwright.wait_for_selector(f"[data-problem={problem}]")
        await check(page, problem)
