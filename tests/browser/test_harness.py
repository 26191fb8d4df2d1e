"""The harness itself: two pages call each other, and are told apart by picture and by sound."""

import shutil
from pathlib import Path

import pytest

from tests.browser import chromium
from tests.browser.chromium import Chromium, ChromiumMissingError
from tests.browser.page import BrowserPage, Identity

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

URL = "http://127.0.0.1/call"
HTML = """<!doctype html><title>call</title><video id="remote" autoplay playsinline></video><script>
const pc = new RTCPeerConnection();
pc.ontrack = ({ streams }) => { document.getElementById('remote').srcObject = streams[0]; };
const gathered = () => new Promise((resolve) => {
  const check = () => { if (pc.iceGatheringState === 'complete') resolve(pc.localDescription.sdp); };
  pc.onicegatheringstatechange = check;
  check();
});
const publish = async () => {
  const media = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
  media.getTracks().forEach((track) => pc.addTrack(track, media));
};
window.offer = async () => { await publish(); await pc.setLocalDescription(); return gathered(); };
window.answer = async (sdp) => {
  await pc.setRemoteDescription({ type: 'offer', sdp });
  await publish();
  await pc.setLocalDescription();
  return gathered();
};
window.accept = (sdp) => pc.setRemoteDescription({ type: 'answer', sdp });
</script>"""

ALICE = Identity(number=5)
BOB = Identity(number=42, width=320, height=180)


async def call(caller: BrowserPage, callee: BrowserPage) -> tuple[str, str]:
    """Connect two pages by carrying offer and answer between them; returns both."""
    offer = await caller.evaluate("() => offer()")
    answer = await callee.evaluate("sdp => answer(sdp)", offer)
    await caller.evaluate("sdp => accept(sdp)", answer)
    return offer, answer


async def test_two_pages_see_and_hear_each_other(browser: Chromium) -> None:
    alice = await browser.open(URL, ALICE, html=HTML)
    bob = await browser.open(URL, BOB, html=HTML)
    offer, answer = await call(alice, bob)

    hosts = [line.split()[4] for sdp in (offer, answer) for line in sdp.splitlines() if "typ host" in line]
    assert set(hosts) == {"127.0.0.1"}

    for page, other in ((alice, BOB), (bob, ALICE)):
        await page.wait_connected()
        picture = await page.wait_to_see(other)
        assert picture.element == "remote"
        assert 0 < picture.width <= other.width  # a sender begins small
        await page.wait_for_motion(other)
        await page.wait_to_hear(other)
        assert not await page.sees(page.identity or other)

        connected, seen = await page.connected_at(), await page.first_seen(other)
        assert connected is not None
        assert seen is not None
        assert 0 < seen - connected < 10

        [inbound] = await page.stats("inbound-rtp", kind="video")
        assert inbound["connection"] == 0
        assert inbound["framesDecoded"] >= 5
        assert len(await page.stats("outbound-rtp")) == 2
        assert page.console == []


async def test_pages_tell_silence_and_a_stopped_picture(browser: Chromium) -> None:
    alice = await browser.open(URL, ALICE, html=HTML)
    bob = await browser.open(URL, BOB, html=HTML)
    await call(alice, bob)
    await bob.wait_to_hear(ALICE)

    await alice.evaluate("() => pc.getSenders().forEach((sender) => { sender.track.enabled = false; })")
    await bob.wait_until("() => harness.pictures().every((picture) => picture.number === null)")
    with pytest.raises(TimeoutError, match="not heard"):
        await bob.wait_to_hear(ALICE, within=1.5)
    with pytest.raises(TimeoutError, match="not within"):
        await bob.wait_to_see(ALICE, within=0.5)
    assert max(tone.level for tone in await bob.tones()) < 0.01


async def test_a_failure_is_described_with_screenshots(browser: Chromium, tmp_path: Path) -> None:
    page = await browser.open(URL, ALICE, html="<script>console.log('hello'); undefined.nothing;</script>")
    gone = await browser.open(URL, BOB, html="")
    await gone.close()
    description = await browser.describe(tmp_path)
    assert (tmp_path / "page0.png").read_bytes().startswith(b"\x89PNG")
    assert "page 0 console: log: hello" in description
    assert "uncaught: " in description
    assert "page 1: closed" in description
    assert page.identity == ALICE


def test_missing_chromium_is_told_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ChromiumMissingError, match="apt-get install"):
        chromium.executable()
