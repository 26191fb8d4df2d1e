"""The unmodified ``livekit-client`` in Chromium against the node: simulcast, data, mute, leave, and a cut socket."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from tests.browser.chromium import Chromium
from tests.browser.page import BrowserPage, Identity
from tests.interop.test_livekit_sdk import URL, node, token

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

HERE = Path(__file__).parent / "livekit"
ALICE = Identity(number=5)
BOB = Identity(number=42)


@pytest.fixture(scope="module")
def script() -> str:
    """The SDK as npm has it."""
    file = HERE / "node_modules" / "livekit-client" / "dist" / "livekit-client.umd.js"
    if not file.exists():
        pytest.fail("livekit-client is not there: make tests/browser/livekit/node_modules/.installed", pytrace=False)
    return file.read_text()


@asynccontextmanager
async def served(script: str) -> AsyncIterator[str]:
    """The page's address, from a server: one that came from nowhere may not open a websocket to this machine."""
    page = (HERE / "page.html").read_text()

    async def answer(request: web.Request) -> web.Response:
        if request.path == "/":
            return web.Response(text=page, content_type="text/html")
        return web.Response(text=script, content_type="text/javascript")

    app = web.Application()
    app.router.add_get("/{file:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}/"
    finally:
        await runner.cleanup()


async def join(browser: Chromium, page_url: str, identity: Identity, name: str) -> BrowserPage:
    """A page with the SDK that has joined, with camera and microphone."""
    page = await browser.open(page_url, identity)
    await page.evaluate("([url, token]) => join(url, token)", [URL.replace("http", "ws"), token(name)])
    return page


async def tells(page: BrowserPage, name: str, who: str) -> None:
    """Wait until the page's room has told of it."""
    find = "([name, who]) => seen.some(event => event.name === name && event.who === who)"
    await page.wait_until(find, [name, who])


async def test_pages_with_the_sdk_meet_and_outlive_a_cut_socket(browser: Chromium, script: str) -> None:
    async with node(), served(script) as page_url:
        alice = await join(browser, page_url, ALICE, "alice")
        bob = await join(browser, page_url, BOB, "bob")
        for page, other in ((alice, BOB), (bob, ALICE)):
            await page.wait_to_see(other)
            await page.wait_for_motion(other)
            await page.wait_to_hear(other)
        layers = [report["rid"] for report in await alice.stats("outbound-rtp", kind="video") if "rid" in report]
        assert sorted(layers) == ["h", "q"], "simulcast is on"

        send = "text => room.localParticipant.publishData(new TextEncoder().encode(text), { reliable: true })"
        await alice.evaluate(send, "hello")
        await bob.wait_until("() => seen.some(event => event.text === 'hello' && event.who === 'alice')")
        await alice.evaluate("() => room.localParticipant.setMicrophoneEnabled(false)")
        await tells(bob, "TrackMuted", "alice")

        connected = [await alice.connected_at(connection) for connection in (0, 1)]
        await alice.evaluate("() => room.simulateScenario('signal-reconnect')")
        await alice.wait_until("() => seen.some(event => event.name === 'Reconnected')")
        assert [await alice.connected_at(connection) for connection in (0, 1)] == connected, "by the same connections"
        await bob.wait_for_motion(ALICE, within=5)
        await alice.wait_for_motion(BOB, within=5)
        await bob.evaluate(send, "still there")
        await alice.wait_until("() => seen.some(event => event.text === 'still there')")
        names = await bob.evaluate("() => seen.map(event => event.name)")
        assert "ParticipantDisconnected" not in names, "nobody else noticed"

        await alice.evaluate("() => room.disconnect()")
        await tells(bob, "ParticipantDisconnected", "alice")
        await bob.wait_until_gone(ALICE)
