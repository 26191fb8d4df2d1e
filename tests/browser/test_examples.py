"""The examples in Chromium: people see and hear each other, come late, leave and return, in every codec."""

import asyncio
import statistics
from pathlib import Path
from typing import Any

import pytest

from examples.forward import PAGE
from tests.browser.chromium import Chromium
from tests.browser.page import BrowserPage, Identity
from tests.browser.server import ROOT, running_example, running_program
from tests.documents import printed

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

ALICE = Identity(number=5)
BOB = Identity(number=42)
CAROL = Identity(number=23)

PREFER = """const prefer = (pc, name) => pc.getTransceivers().filter(t => t.sender.track.kind === 'video').forEach(t =>
  t.setCodecPreferences([...RTCRtpSender.getCapabilities('video').codecs].sort((a, b) =>
    b.mimeType.endsWith(name) - a.mimeType.endsWith(name))))
"""


def page_preferring(codec: str) -> str:
    """The page of ``forward.py``, publishing with another codec."""
    connect = "await connect(pc, `/publish/"
    assert PAGE.count(connect) == 1
    return PAGE.replace(connect, f"{PREFER}prefer(pc, '{codec}')\n{connect}")


@pytest.fixture
def stage_file(tmp_path: Path) -> Path:
    """The tutorial's server, as its reader saves it."""
    file = tmp_path / "stage.py"
    file.write_text(printed("docs/tutorial.md")["stage.py"])
    return file


async def late_by(page: BrowserPage, *others: Identity) -> float:
    """Seconds from a page's last connection to the last picture it sees for the first time."""
    await page.see_and_hear(*others)
    # Connection 0 publishes; the others watch, in any order.
    connected = [await page.connected_at(connection) for connection in range(1, 1 + len(others))]
    seen = [await page.first_seen(other) for other in others]
    return max(moment for moment in seen if moment is not None) - max(
        moment for moment in connected if moment is not None
    )


async def received_codecs(page: BrowserPage) -> set[str]:
    codecs = {report["id"]: report["mimeType"] for report in await page.stats("codec")}
    return {codecs[report["codecId"]] for report in await page.stats("inbound-rtp", kind="video")}


async def test_echo_sends_picture_and_sound_back(browser: Chromium) -> None:
    async with running_example("echo") as url:
        page = await browser.open(url, ALICE)
        await page.wait_connected()
        await page.wait_until("() => document.getElementById('echo').videoWidth > 0")
        pictures = await page.pictures()
        assert {picture.element for picture in pictures if picture.shows(ALICE)} == {"mine", "echo"}
        await page.see_and_hear(ALICE)


async def test_people_see_and_hear_each_other_come_late_leave_and_return(browser: Chromium) -> None:
    async with running_example("forward") as url:
        alice = await browser.open(url, ALICE)
        bob = await browser.open(url, BOB)
        await alice.see_and_hear(BOB)
        await bob.see_and_hear(ALICE)

        carol = await browser.open(url, CAROL)
        waits = [await late_by(carol, ALICE, BOB)]
        await alice.see_and_hear(BOB, CAROL)

        await bob.close()
        await alice.wait_until_gone(BOB)
        assert await alice.sees(CAROL)
        bob = await browser.open(url, BOB)
        waits.append(await late_by(bob, ALICE, CAROL))
        await alice.see_and_hear(BOB)

        # Three pages encode and draw on this machine's cores, which may make one of the two wait.
        print(
            "those who came late had both pictures", *(f"{wait:.2f} s" for wait in waits), "after they were connected"
        )
        assert min(waits) < 1
        assert max(waits) < 3


@pytest.mark.parametrize("codec", ["H264", "VP9", "AV1"])
async def test_other_codecs_are_forwarded(browser: Chromium, codec: str) -> None:
    page = page_preferring(codec)
    async with running_example("forward") as url:
        alice = await browser.open(url, ALICE, html=page)
        bob = await browser.open(url, BOB, html=page)
        await alice.see_and_hear(BOB)
        await bob.see_and_hear(ALICE)
        assert await received_codecs(alice) == {f"video/{codec}"}


async def test_sound_and_picture_play_together(browser: Chromium) -> None:
    """The median of 20 differences between what a page hears and sees, after 20 s, is within 45 ms."""
    async with running_example("forward") as url:
        await browser.open(url, ALICE)
        bob = await browser.open(url, BOB)
        await bob.see_and_hear(ALICE)
        await asyncio.sleep(20)
        differences: list[float] = []
        while len(differences) < 20:
            moments = {}
            for report in await bob.stats("inbound-rtp"):
                moments[report["kind"]] = playout(report)
            if moments["audio"] and moments["video"]:
                differences.append(moments["audio"] - moments["video"])
            await asyncio.sleep(0.1)
        median = statistics.median(differences)
        print(f"sound plays {median:+.1f} ms from its picture")
        assert abs(median) <= 45


def playout(report: dict[str, Any]) -> float:
    """The sender's time, in ms, of what plays now; 0 while the page cannot tell."""
    return float(report.get("estimatedPlayoutTimestamp") or 0)


def test_each_example_is_one_file_under_80_lines() -> None:
    for path in sorted(Path(ROOT / "examples").glob("*.py")):
        assert len(path.read_text().splitlines()) < 80, path.name


async def test_the_tutorials_stage_is_seen_and_heard_by_everybody(browser: Chromium, stage_file: Path) -> None:
    async with running_program(stage_file, "======== Running on ") as url:
        speaker = await browser.open(f"{url}/speak", ALICE)
        await speaker.wait_connected()
        watchers = [await browser.open(url) for _ in range(2)]
        for watcher in watchers:
            await watcher.see_and_hear(ALICE)
