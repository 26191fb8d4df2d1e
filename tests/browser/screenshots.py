"""Pictures of the page for the documentation: ``make screenshots``. Look at them before they are committed.

Everybody in them is drawn. The guests of a large meeting share one page that is not shown: a room object each.
"""

import asyncio
import io
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import av
from playwright.async_api import Browser, BrowserContext, Page, Route, ViewportSize, async_playwright

from tests.browser.chromium import FLAGS, executable
from tests.interop.test_livekit_sdk import URL, node

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs" / "images"
SDK = Path(__file__).parent / "livekit" / "node_modules" / "livekit-client" / "dist" / "livekit-client.umd.js"

WIDE: ViewportSize = {"width": 1200, "height": 720}
PHONE: ViewportSize = {"width": 390, "height": 780}
QUALITY = "72"
ROOM = "open-day-plan"

GUESTS = """Camille Moreau,
Jonas Weber, Inès Haddad, Luca Conti, Sofia Almeida, Amadou Diallo, Hanna Nowak, Yuki Tanaka,
Emma Dubois, Noah Petit, Zoé Lambert, Marco Rossi, Leïla Benali, Oskar Lind, Marta Silva, Théo Garnier, Anna Kowalska,
Pablo Ruiz, Chloé Fontaine, Elif Kaya, Hugo Marchand, Ida Berg, Nadia Cherif""".replace("\n", " ").split(", ")

DRAW = """
window.drawn = (hue, seconds = 0) => {
  const canvas = Object.assign(document.createElement('canvas'), { width: 640, height: 360 })
  const c = canvas.getContext('2d')
  const draw = () => {
    const t = performance.now() / 1000 + seconds
    const wall = c.createLinearGradient(0, 0, 640, 360)
    wall.addColorStop(0, `hsl(${hue} 30% 78%)`); wall.addColorStop(1, `hsl(${hue + 30} 32% 58%)`)
    c.fillStyle = wall; c.fillRect(0, 0, 640, 360)
    c.fillStyle = `hsl(${hue + 200} 25% 88%)`; c.fillRect(60, 40, 130, 170)
    c.fillStyle = `hsl(${hue + 190} 40% 70%)`; c.fillRect(70, 50, 110, 150)
    const x = 330 + 6 * Math.sin(t), y = 165 + 3 * Math.sin(1.7 * t)
    c.fillStyle = `hsl(${hue + 150} 40% 38%)`
    c.beginPath(); c.ellipse(x, 400, 190, 150, 0, 0, 7); c.fill()
    const skin = [28, 24, 20, 30][hue % 4], light = [76, 62, 44, 34][(hue >> 2) % 4]
    c.fillStyle = `hsl(${skin} 45% ${light - 8}%)`; c.fillRect(x - 30, y + 60, 60, 50)
    c.fillStyle = `hsl(${(hue * 7) % 40 + 10} 35% ${14 + (hue % 5) * 8}%)`
    c.beginPath(); c.ellipse(x, y - 18, 84, 96, 0, 0, 7); c.fill()
    c.fillStyle = `hsl(${skin} 45% ${light}%)`
    c.beginPath(); c.ellipse(x, y + 4, 68, 84, 0, 0, 7); c.fill()
    c.fillStyle = '#2a2118'
    for (const side of [-1, 1]) { c.beginPath(); c.ellipse(x + 26 * side, y - 4, 6, 7, 0, 0, 7); c.fill() }
    c.strokeStyle = '#7a3b33'; c.lineWidth = 4
    c.beginPath(); c.arc(x, y + 26, 22, 0.3, Math.PI - 0.3); c.stroke()
  }
  draw(); setInterval(draw, 100)
  return canvas.captureStream(10).getVideoTracks()[0]
}
window.slide = () => {
  const canvas = Object.assign(document.createElement('canvas'), { width: 1280, height: 720 })
  const c = canvas.getContext('2d')
  const draw = () => {
    c.fillStyle = '#fff'; c.fillRect(0, 0, 1280, 720)
    c.fillStyle = '#1b2559'; c.font = '600 54px sans-serif'; c.fillText('Open day: the plan', 90, 130)
    c.fillStyle = '#3b4260'; c.font = '34px sans-serif'
    'Doors at nine, tours every hour|Three workshops, each for twenty|Remote guests join by this link'
      .split('|').forEach((line, i) => c.fillText('•  ' + line, 100, 230 + 70 * i))
    ;[60, 130, 95, 190, 160].forEach((h, i) => {
      c.fillStyle = i == 3 ? '#2747d8' : '#b9c4f3'
      c.fillRect(790 + 80 * i, 620 - h, 54, h)
    })
  }
  draw(); setInterval(draw, 200)
  return canvas.captureStream(5)
}
const silent = () => {
  const context = new AudioContext()
  return context.createMediaStreamDestination().stream.getAudioTracks()[0]
}
if (navigator.mediaDevices) {
  navigator.mediaDevices.getUserMedia = async ({ audio, video }) => new MediaStream([
    ...(video ? [drawn(window.hue ?? 210)] : []), ...(audio ? [silent()] : []) ])
  navigator.mediaDevices.getDisplayMedia = async () => slide()
}
"""

GUEST = """async ([url, token, hue, hasPicture, raisesHand]) => {
  const room = new LivekitClient.Room()
  await room.connect(url, token)
  if (hasPicture)
    await room.localParticipant.publishTrack(drawn(hue, hue), { source: 'camera', simulcast: false })
  if (raisesHand) await room.localParticipant.setAttributes({ handRaisedAt: new Date().toISOString() })
}"""


TICKET = """async ([room, name]) => {
  const body = JSON.stringify({ room, name }), headers = { 'Content-Type': 'application/json' }
  return (await (await fetch('/api/token', { method: 'POST', headers, body })).json()).token
}"""

KEPT = """kept => {
  for (const [key, value] of Object.entries(JSON.parse(kept))) sessionStorage[key] = value
  localStorage.choices = JSON.stringify({ name: 'Alice Martin' })
}"""


def refusing(status: int, problem: str) -> Callable[[Route], Awaitable[None]]:
    """An answer for the page, in place of the node's."""

    async def answer(route: Route) -> None:
        await route.fulfill(status=status, json={"error": problem})

    return answer


def webp(png: bytes) -> bytes:
    """The same picture, small."""
    with av.open(io.BytesIO(png), "r") as source:
        frame = next(source.decode(video=0))
    written = io.BytesIO()
    with av.open(written, "w", format="webp") as target:
        stream: Any = target.add_stream("libwebp", options={"quality": QUALITY, "preset": "text"})
        stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, "bgra"
        target.mux(stream.encode(frame.reformat(format="bgra")))
        target.mux(stream.encode(None))
    return written.getvalue()


class Studio:
    """A browser, and what is taken in it."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self.written: dict[str, bytes] = {}

    @asynccontextmanager
    async def page(
        self, *, hue: int = 210, viewport: Any = WIDE, scheme: Any = "light", init: str = ""
    ) -> AsyncIterator[Page]:
        """A visitor's window."""
        context: BrowserContext = await self._browser.new_context(
            viewport=WIDE, color_scheme="light", reduced_motion="reduce", locale="en-US"
        )
        await context.add_init_script(f"window.hue = {hue};{DRAW};{init}")
        try:
            yield await context.new_page()
        finally:
            await context.close()

    async def take(self, page: Page, name: str) -> None:
        """Keep what a page shows."""
        await page.wait_for_timeout(500)
        self.written[name] = webp(await page.screenshot())
        print(f"{name}: {len(self.written[name]) / 1000:.0f} kB", flush=True)

    async def join(self, page: Page, name: str) -> None:
        """Come in by the door."""
        await page.goto(f"{URL}/r/{ROOM}")
        await page.fill("input[name=name]", name)
        await page.click("button[type=submit]")
        await page.wait_for_selector("[data-phase=joined]")

    async def guests(self, page: Page, names: list[str], *, first: int = 0) -> None:
        """Let others in, all from one window that is not shown."""
        for place, name in enumerate(names, first):
            ticket = await page.evaluate(TICKET, [ROOM, name])
            has_picture = place % 4 != 3
            await page.evaluate(GUEST, [URL, ticket, 37 * place % 360, has_picture, place == 1])


PROBLEMS: dict[str, tuple[int, str]] = {
    name: (status, name)
    for name, status in (("room_full", 403), ("name_taken", 409), ("login_required", 403), ("node_gone", 503))
}


async def doors(studio: Studio) -> None:
    """What stands before a meeting, and what keeps people from it."""
    async with studio.page() as page:
        await page.goto(URL)
        await studio.take(page, "start")
    async with studio.page() as page:
        await page.goto(f"{URL}/r/{ROOM}")
        await page.fill("input[name=name]", "Alice Martin")
        await page.wait_for_selector(".preview video")
        await studio.take(page, "door")
        await page.set_viewport_size(PHONE)
        await studio.take(page, "door-phone")
    for name, (status, answer) in PROBLEMS.items():
        async with studio.page() as page:
            await page.route("**/api/token", refusing(status, answer))
            await page.goto(f"{URL}/r/{ROOM}")
            await page.fill("input[name=name]", "Alice Martin")
            await page.click("button[type=submit]")
            await page.wait_for_selector(f"[data-problem={name}]")
            await studio.take(page, f"problem-{name.replace('_', '-')}")
    for error, name in (
        ("NotFoundError", "camera-missing"),
        ("NotAllowedError", "camera-refused"),
        ("NotReadableError", "camera-busy"),
    ):
        refuse = (
            "const ask = navigator.mediaDevices.getUserMedia; navigator.mediaDevices.getUserMedia = async (wanted) => {"
            f" if (wanted.video) throw Object.assign(new Error('no'), {{ name: '{error}' }}); return ask(wanted) }}"
        )
        async with studio.page(init=refuse) as page:
            await page.goto(f"{URL}/r/{ROOM}")
            await page.fill("input[name=name]", "Alice Martin")
            await page.wait_for_selector("[data-problem]")
            await studio.take(page, f"problem-{name}")
    async with studio.page(init="delete window.RTCPeerConnection; delete window.webkitRTCPeerConnection") as page:
        await page.goto(f"{URL}/r/{ROOM}")
        await page.wait_for_selector("[data-problem=no_webrtc]")
        await studio.take(page, "problem-no-webrtc")


async def meetings(studio: Studio) -> None:
    """A meeting that grows."""
    async with studio.page() as alice, studio.page(hue=20) as bruno, studio.page() as backstage:
        await studio.join(alice, "Alice Martin")
        await studio.take(alice, "alone")
        await studio.join(bruno, "Bruno Keller")
        await alice.wait_for_timeout(2500)
        await studio.take(alice, "grid-2")
        await backstage.goto(f"{URL}/r/{ROOM}")
        await backstage.evaluate(SDK.read_text())
        await studio.guests(backstage, GUESTS[:7])
        await alice.wait_for_timeout(3000)
        await studio.take(alice, "grid-9")
        await bruno.click("[data-control=chat]")
        await bruno.fill(".write input", "I have put the plan into the folder.")
        await bruno.press(".write input", "Enter")
        await alice.click("[data-control=chat]")
        await alice.fill(".write input", "Thank you, I will show it now.")
        await alice.press(".write input", "Enter")
        await alice.wait_for_timeout(5500)
        await studio.take(alice, "chat")
        await alice.emulate_media(color_scheme="dark")
        await studio.take(alice, "dark")
        await alice.emulate_media(color_scheme="light")
        await alice.click("[data-control=chat]")
        await bruno.click("[data-control=share]")
        await alice.wait_for_selector(".large .tile[data-screen] video")
        await alice.wait_for_timeout(6000)
        await studio.take(alice, "stage")
        await alice.set_viewport_size(PHONE)
        await studio.take(alice, "stage-phone")
        await bruno.click("[data-control=share]")
        await alice.wait_for_selector(".grid")
        await alice.wait_for_timeout(1500)
        await studio.take(alice, "phone")
        await alice.set_viewport_size(WIDE)
        await studio.guests(backstage, GUESTS[7:23], first=7)
        await alice.wait_for_timeout(8000)
        await studio.take(alice, "grid-25")
        # The same tab once more, elsewhere.
        stay = await alice.evaluate("() => JSON.stringify(sessionStorage)")
        async with studio.page() as other:
            await other.goto(URL)
            await other.evaluate(KEPT, stay)
            await other.goto(f"{URL}/r/{ROOM}")
            await alice.wait_for_selector("[data-problem=joined_elsewhere]")
            await studio.take(alice, "problem-joined-elsewhere")
        await bruno.click("[data-control=leave]")
        await studio.take(bruno, "left")


async def gone(studio: Studio) -> None:
    """What is seen while the node is away, and where UDP is blocked."""
    blocked = (
        "RTCPeerConnection.prototype.addIceCandidate = async () => {};"
        "const set = RTCPeerConnection.prototype.setRemoteDescription;"
        "RTCPeerConnection.prototype.setRemoteDescription = function (d) {"
        "  return set.call(this, { type: d.type, sdp: d.sdp.replace(/a=candidate.*\\r\\n/g, '') }) }"
    )
    async with studio.page() as alice:
        async with node():
            async with studio.page(init=blocked) as page:
                await page.goto(f"{URL}/r/{ROOM}")
                await page.fill("input[name=name]", "Alice Martin")
                await page.click("button[type=submit]")
                await page.wait_for_selector("[data-problem=udp_blocked]", timeout=40_000)
                await studio.take(page, "problem-udp-blocked")
            await studio.join(alice, "Alice Martin")
        await alice.wait_for_selector("[data-phase=returning]")
        await studio.take(alice, "returning")


async def main() -> dict[str, bytes]:
    """All of them."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable(), args=list(FLAGS))
        studio = Studio(browser)
        async with node():
            await doors(studio)
            await meetings(studio)
        await gone(studio)
        await browser.close()
    return studio.written


if __name__ == "__main__":
    pictures = asyncio.run(main())
    IMAGES.mkdir(parents=True, exist_ok=True)
    for picture, content in pictures.items():
        (IMAGES / f"{picture}.webp").write_bytes(content)
    sys.exit(0)
