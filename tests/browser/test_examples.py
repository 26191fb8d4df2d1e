"""The examples in Chromium: people see and hear each other, come late, leave and return."""

import pytest

from tests.browser.chromium import Chromium
from tests.browser.page import BrowserPage, Identity
from tests.browser.server import running_example

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

ALICE = Identity(number=5)
BOB = Identity(number=42)
CAROL = Identity(number=23)


async def see_and_hear(page: BrowserPage, *others: Identity) -> None:
    for other in others:
        await page.wait_to_see(other)
        await page.wait_for_motion(other)
        await page.wait_to_hear(other)


async def test_echo_sends_picture_and_sound_back(browser: Chromium) -> None:
    async with running_example("echo") as url:
        page = await browser.open(url, ALICE)
        await page.wait_connected()
        picture = await page.wait_to_see(ALICE)
        assert picture.element
        await see_and_hear(page, ALICE)


async def test_people_see_and_hear_each_other_come_late_leave_and_return(browser: Chromium) -> None:
    async with running_example("forward") as url:
        alice = await browser.open(url, ALICE)
        bob = await browser.open(url, BOB)
        await see_and_hear(alice, BOB)
        await see_and_hear(bob, ALICE)
        carol = await browser.open(url, CAROL)
        await see_and_hear(carol, ALICE, BOB)
        await see_and_hear(alice, BOB, CAROL)
