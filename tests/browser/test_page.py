"""The node's page in Chromium: four people in a meeting, from the door to its end."""

import json
import re
import time
from urllib.parse import urlsplit

import pytest

from tests.browser.chromium import Chromium, chromium
from tests.browser.page import BrowserPage, Identity
from tests.interop.test_livekit_sdk import URL, node

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

ROOM = f"{URL}/r/abc-defg-hij"
PEOPLE = {"Alice": Identity(number=5), "Bruno": Identity(number=42), "Chloé": Identity(number=23)}
LATE = {"Dora": Identity(number=11)}
SCREEN = Identity(number=33, width=1280, height=720)

SHARE = """settings => {
  const camera = navigator.mediaDevices.getUserMedia
  harness.become(settings)
  const screen = navigator.mediaDevices.getUserMedia
  navigator.mediaDevices.getUserMedia = camera
  navigator.mediaDevices.getDisplayMedia = () => screen({ video: true })
}"""


async def join(browser: Chromium, name: str, identity: Identity, url: str = ROOM) -> BrowserPage:
    """Come in by the door, as people do."""
    page = await browser.open(url, identity)
    await page.playwright.fill("input[name=name]", name)
    await page.playwright.click("button[type=submit]")
    await page.playwright.wait_for_selector("[data-phase=joined]")
    return page


def tile(name: str) -> str:
    return f".tile[data-name='{name}']:not([data-screen])"


async def press(page: BrowserPage, control: str) -> None:
    await page.playwright.click(f"[data-control={control}]")


async def share(page: BrowserPage, screen: Identity) -> None:
    """Share a screen of known identity."""
    await page.evaluate(SHARE, json.loads(screen.script().partition("become(")[2].rpartition(")")[0]))
    await press(page, "share")


async def test_four_people_meet_as_two_commands_promise(browser: Chromium) -> None:
    async with node():
        pages = {name: await join(browser, name, identity) for name, identity in PEOPLE.items()}
        for name, page in pages.items():
            await page.see_and_hear(*(identity for other, identity in PEOPLE.items() if other != name))

        # Who comes late sees them within a second of being connected. Five pages encode and draw on this machine's
        # cores: who had to wait for these comes anew, and may not have to wait again.
        (late, dora), *_ = LATE.items()
        waits: list[float] = []
        for _ in range(3):
            if waits:
                await pages[late].close()
                await pages["Alice"].wait_until_gone(dora)
            pages[late] = await join(browser, late, dora)
            await pages[late].see_and_hear(*PEOPLE.values())
            connected = [at for number in (0, 1) if (at := await pages[late].connected_at(number)) is not None]
            seen = [at for identity in PEOPLE.values() if (at := await pages[late].first_seen(identity)) is not None]
            assert len(seen) == len(PEOPLE)
            waits.append(max(seen) - max(connected))
            print(f"the late one had all pictures {waits[-1]:.2f} s after it was connected")
            if waits[-1] < 1:
                break
        assert waits[-1] < 1
        await pages["Alice"].see_and_hear(dora)

        # Muted: all see it.
        alice, bruno = pages["Alice"], pages["Bruno"]
        await press(alice, "microphone")
        for page in pages.values():
            await page.playwright.wait_for_selector(f"{tile('Alice')} .muted")
        await press(alice, "microphone")
        for page in pages.values():
            await page.playwright.wait_for_selector(f"{tile('Alice')} .muted", state="detached")
        await bruno.see_and_hear(PEOPLE["Alice"])

        # Who speaks is marked: they all have a tone.
        await bruno.playwright.wait_for_selector(f"{tile('Alice')}[data-speaking]")

        # How good each connection is: nothing is lost here.
        await alice.playwright.wait_for_selector(f"{tile('Bruno')} .quality[data-bars='3']")

        # A raised hand, and the chat.
        await press(bruno, "hand")
        for page in pages.values():
            await page.playwright.wait_for_selector(f"{tile('Bruno')} .raised")
        await press(bruno, "chat")
        await bruno.playwright.fill(".write input", "Bonjour <b>à tous</b>")
        await bruno.playwright.press(".write input", "Enter")
        for name, page in pages.items():
            if name != "Bruno":
                await page.playwright.wait_for_selector("[data-control=chat] .badge")
                await press(page, "chat")
            await page.playwright.wait_for_selector(".lines .what:text-is('Bonjour <b>à tous</b>')")
            await press(page, "chat")

        # A screen is shown large.
        await share(alice, SCREEN)
        for name, page in pages.items():
            if name != "Alice":
                await page.wait_to_see(SCREEN)
            large = ".large .tile[data-screen][data-name='Alice'] video"
            await page.playwright.wait_for_selector(large)
            part = await page.evaluate(
                "selector => document.querySelector(selector).getBoundingClientRect().width / innerWidth", large
            )
            assert part > 0.5
        await press(alice, "share")
        await bruno.playwright.wait_for_selector(".stage", state="detached")

        # Who reloads the page is back at the same place, and nobody twice.
        before = await bruno.evaluate(f'() => document.querySelector("{tile("Bruno")}").dataset.identity')
        await bruno.playwright.reload()
        await bruno.playwright.wait_for_selector("[data-phase=joined]")
        await bruno.see_and_hear(PEOPLE["Alice"], PEOPLE["Chloé"])
        await alice.see_and_hear(PEOPLE["Bruno"])
        assert await bruno.evaluate(f'() => document.querySelector("{tile("Bruno")}").dataset.identity') == before
        for page in pages.values():
            await page.wait_until("() => document.querySelectorAll('.tile').length === 4")

        # Who leaves is gone for all, and may come back.
        await press(alice, "leave")
        await bruno.playwright.wait_for_selector(tile("Alice"), state="detached")
        await alice.playwright.click(".outside .primary")
        await alice.playwright.wait_for_selector("[data-phase=joined]")
        await bruno.see_and_hear(PEOPLE["Alice"])


async def test_everybody_is_back_within_ten_seconds_of_a_restart(browser: Chromium) -> None:
    pages: dict[str, BrowserPage] = {}
    alice, bruno = PEOPLE["Alice"], PEOPLE["Bruno"]
    async with node():
        pages = {name: await join(browser, name, PEOPLE[name]) for name in ("Alice", "Bruno")}
        await pages["Alice"].see_and_hear(bruno)
        await pages["Bruno"].see_and_hear(alice)
        stopped = time.monotonic()
    for page in pages.values():
        await page.playwright.wait_for_selector("[data-phase=returning] .state")
    async with node():
        for page, other in ((pages["Alice"], bruno), (pages["Bruno"], alice)):
            await page.playwright.wait_for_selector("[data-phase=joined]", timeout=10_000)
            await page.wait_for_motion(other)
        took = time.monotonic() - stopped
        print(f"everybody was back {took:.1f} s after the node was told to stop")
        assert took < 10
        await pages["Alice"].see_and_hear(bruno)


async def test_the_page_asks_nobody_but_the_node(browser: Chromium) -> None:
    asked: set[str] = set()
    async with node():
        page = await browser.open("about:blank", PEOPLE["Alice"])
        page.playwright.on("request", lambda request: asked.add(request.url))
        page.playwright.on("websocket", lambda websocket: asked.add(websocket.url))
        await page.playwright.goto(URL)
        await page.playwright.click(".home .primary")
        await page.playwright.fill("input[name=name]", "Alice")
        await page.playwright.click("button[type=submit]")
        await page.playwright.wait_for_selector("[data-phase=joined]")
        for control in ("chat", "people", "devices"):
            await press(page, control)
        await press(page, "leave")
        await page.playwright.wait_for_selector(".outside")
    hosts = {urlsplit(url).netloc for url in asked if urlsplit(url).scheme in ("http", "https", "ws", "wss")}
    assert hosts == {urlsplit(URL).netloc}
    assert any(urlsplit(url).scheme == "ws" for url in asked), "the watch works"
    assert not [line for line in page.console if re.search("Content.Security.Policy|uncaught", line)]


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ("Object.assign(new Error('no'), { name: 'NotFoundError' })", "camera_missing"),
        ("Object.assign(new Error('no'), { name: 'NotAllowedError' })", "camera_refused"),
        ("Object.assign(new Error('no'), { name: 'NotReadableError' })", "camera_busy"),
    ],
)
async def test_a_camera_that_does_not_open_is_told_and_does_not_keep_out(
    browser: Chromium, answer: str, problem: str
) -> None:
    async with node():
        page = await browser.open("about:blank")
        await page.playwright.context.add_init_script(
            "const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);"
            f"navigator.mediaDevices.getUserMedia = async (wanted) => {{ if (wanted.video) throw {answer};"
            "return open(wanted) }"
        )
        await page.playwright.goto(ROOM)
        await page.playwright.wait_for_selector(f"[data-problem={problem}]")
        await page.playwright.fill("input[name=name]", "Alice")
        await page.playwright.click("button[type=submit]")
        await page.playwright.wait_for_selector("[data-phase=joined]")
        await page.playwright.wait_for_selector(f".call [data-problem={problem}]")


async def test_a_name_that_is_taken_and_another_window_are_told(browser: Chromium) -> None:
    alice = PEOPLE["Alice"]
    async with node():
        first = await join(browser, "Alice", alice)
        second = await browser.open(ROOM, PEOPLE["Bruno"])
        await second.playwright.fill("input[name=name]", "alice")
        await second.playwright.click("button[type=submit]")
        await second.playwright.wait_for_selector(".door [data-problem=name_taken]")

        # The same tab twice, as when it is duplicated: what it remembers goes with it.
        stay = await first.evaluate("() => JSON.stringify(sessionStorage)")
        await second.evaluate(
            "kept => { for (const [k, v] of Object.entries(JSON.parse(kept))) sessionStorage[k] = v }", stay
        )
        await second.playwright.reload()
        await second.playwright.wait_for_selector("[data-phase=joined]")
        await first.playwright.wait_for_selector("[data-problem=joined_elsewhere]")
        await second.playwright.close()


async def test_udp_that_is_blocked_is_told(browser: Chromium) -> None:
    async with node():
        page = await browser.open("about:blank", PEOPLE["Alice"])
        # Candidates of the node lead nowhere, as where a firewall drops UDP.
        await page.playwright.context.add_init_script(
            "RTCPeerConnection.prototype.addIceCandidate = async () => {};"
            "const set = RTCPeerConnection.prototype.setRemoteDescription;"
            "RTCPeerConnection.prototype.setRemoteDescription = function (description) {"
            "  const sdp = description.sdp.replace(/a=candidate.*\\r\\n/g, '');"
            "  return set.call(this, { type: description.type, sdp })"
            "}"
        )
        await page.playwright.goto(ROOM)
        await page.playwright.fill("input[name=name]", "Alice")
        await page.playwright.click("button[type=submit]")
        await page.playwright.wait_for_selector("[data-problem=udp_blocked]", timeout=40_000)


async def test_a_node_that_is_gone_is_told_at_the_door(browser: Chromium) -> None:
    async with node():
        page = await browser.open(ROOM, PEOPLE["Alice"])
        await page.playwright.fill("input[name=name]", "Alice")
    await page.playwright.click("button[type=submit]")
    await page.playwright.wait_for_selector("[data-problem=node_gone]")


async def test_it_speaks_the_language_of_the_browser_or_the_chosen_one(browser: Chromium) -> None:
    async with node():
        page = await browser.open(URL)
        assert await page.evaluate("() => document.documentElement.lang") == "en"
        await page.playwright.select_option(".language select", "fr")
        await page.playwright.wait_for_selector("button:text-is('Lancer une réunion')")
        await page.playwright.reload()
        await page.playwright.wait_for_selector("button:text-is('Lancer une réunion')")
        assert await page.evaluate("() => document.documentElement.lang") == "fr"


async def test_it_can_be_used_by_keyboard_alone(browser: Chromium) -> None:
    async with node():
        page = await browser.open(ROOM, PEOPLE["Alice"])
        keyboard = page.playwright.keyboard
        await page.playwright.focus("input[name=name]")
        await keyboard.type("Alice")
        await keyboard.press("Enter")
        await page.playwright.wait_for_selector("[data-phase=joined]")
        reached: set[str] = set()
        for _ in range(20):
            await keyboard.press("Tab")
            reached.add(await page.evaluate("() => document.activeElement.dataset.control ?? ''"))
        assert reached >= {"microphone", "camera", "share", "hand", "chat", "people", "devices", "leave"}
        await page.playwright.focus("[data-control=chat]")
        await keyboard.press("Enter")
        await page.playwright.wait_for_selector(".write input:focus")
        await keyboard.press("Escape")
        await page.playwright.wait_for_selector(".panel", state="detached")


async def test_devices_are_remembered_and_changed_during_the_meeting() -> None:
    cameras = "() => navigator.mediaDevices.enumerateDevices().then(all => all.filter(d => d.kind === 'videoinput'))"
    used = """() => {
      const [video] = [...document.querySelectorAll('.tile video')].map(one => one.srcObject?.getVideoTracks()[0])
      return video?.readyState === 'live' ? video.getSettings().deviceId : null
    }"""
    async with node(), chromium("--use-fake-device-for-media-stream=device-count=3") as browser:
        page = await browser.open(ROOM)
        await page.playwright.wait_for_selector(".preview video")
        first, second, third = [one["deviceId"] for one in await page.evaluate(cameras)]
        await page.playwright.select_option("[data-device=camera]", second)
        await page.playwright.fill("input[name=name]", "Alice")
        await page.playwright.click("button[type=submit]")
        await page.playwright.wait_for_selector("[data-phase=joined]")
        await page.wait_until(used)
        assert await page.evaluate(used) == second
        await press(page, "devices")
        await page.playwright.select_option(".panel [data-device=camera]", third)
        await page.wait_until(f"wanted => ({used})() === wanted", third)
        await press(page, "leave")
        await page.playwright.goto(ROOM)
        await page.playwright.wait_for_selector(".preview video")
        assert await page.playwright.input_value("input[name=name]") == "Alice"
        assert await page.playwright.input_value("[data-device=camera]") == third
        assert first not in (second, third)
