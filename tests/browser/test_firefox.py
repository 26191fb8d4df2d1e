"""Firefox and Chromium in one meeting on the node's page."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.chromium import Chromium
from tests.browser.firefox import TONE, FirefoxMissingError, FirefoxPage, firefox, make_profile
from tests.browser.page import LISTENING_MS, Identity
from tests.browser.test_page import ROOM, join
from tests.interop.test_livekit_sdk import interface, node

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

ALICE, FIONA = Identity(number=5), Identity(number=42)

__all__ = ["interface"]  # Firefox connects on no loopback address

HEARS = """async () => {
  const all = []
  for (const pc of harness.connections) if (pc.connectionState !== 'closed') all.push(...(await pc.getStats()).values())
  return all.some(one => one.type === 'inbound-rtp' && one.kind === 'audio' && one.totalAudioEnergy > 0.01)
}"""


@pytest.fixture
def profile() -> Iterator[Path]:
    made = make_profile()
    yield made
    shutil.rmtree(made, ignore_errors=True)


async def enter(page: FirefoxPage, name: str) -> None:
    """By the door, as people do."""
    await page.goto(ROOM)
    await page.wait_until("() => document.querySelector('.preview video')?.videoWidth > 0")
    await page.evaluate(
        """name => {
          const field = document.querySelector('input[name=name]')
          Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set.call(field, name)
          field.dispatchEvent(new Event('input', { bubbles: true }))
        }""",
        name,
    )
    await page.wait_until("() => !document.querySelector('button[type=submit]').disabled")
    await page.evaluate("() => document.querySelector('button[type=submit]').click()")
    await page.wait_until("() => document.querySelector('[data-phase=joined]') !== null")


@pytest.mark.usefixtures("interface")
async def test_firefox_and_chromium_see_and_hear_each_other(browser: Chromium, profile: Path) -> None:
    try:
        async with node(), firefox(FIONA, profile) as fiona:
            alice = await join(browser, "Alice", ALICE)
            await enter(fiona, "Fiona")
            await alice.wait_to_see(FIONA)
            await alice.wait_for_motion(FIONA)
            await fiona.wait_until("n => harness.pictures().some(one => one.number === n)", ALICE.number)
            tones = await alice.evaluate("ms => harness.tones(ms)", LISTENING_MS)
            for _ in range(20):
                if any(abs(tone["frequency"] - TONE) < 10 and tone["level"] > 0.01 for tone in tones):
                    break
                tones = await alice.evaluate("ms => harness.tones(ms)", LISTENING_MS)
            else:
                pytest.fail(f"no {TONE} Hz but {tones}")
            await fiona.wait_until(HEARS)
    except FirefoxMissingError as missing:
        pytest.fail(str(missing), pytrace=False)
