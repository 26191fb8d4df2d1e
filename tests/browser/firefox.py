"""Headless Firefox over WebDriver BiDi: one window with a camera of known identity, and Firefox's own fake microphone.

Its microphone stays its own because Firefox has no AudioContext on a machine without a sound device.
"""

import asyncio
import itertools
import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.browser.page import SCRIPT, Identity

INSTALL = "make test-packages, or apt-get install --no-install-recommends firefox-esr"
LISTENING = "WebDriver BiDi listening on "
PATIENCE = 60.0
STEP = 0.1

TONE = 1000.0
"""Hz, of Firefox's fake microphone."""

PREFERENCES: dict[str, object] = {
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    "media.peerconnection.ice.obfuscate_host_addresses": False,
    "media.autoplay.default": 0,
    "media.autoplay.blocking_policy": 0,
    # Quiet on the network.
    "media.gmp-manager.updateEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "app.update.enabled": False,
    "app.normandy.enabled": False,
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.aboutwelcome.enabled": False,
    "browser.startup.page": 0,
    "datareporting.policy.dataSubmissionEnabled": False,
    "extensions.getAddons.cache.enabled": False,
    "extensions.update.enabled": False,
    "services.settings.server": "http://127.0.0.1:9/v1",
    "toolkit.telemetry.server": "",
    "remote.active-protocols": 1,
}

KEEP_MICROPHONE = """
const devices = navigator.mediaDevices, own = devices?.getUserMedia.bind(devices);
%s
if (devices) {
  const drawn = devices.getUserMedia;
  devices.getUserMedia = async ({ audio, video } = {}) => {
    const stream = new MediaStream();
    if (video) for (const track of (await drawn({ video })).getTracks()) stream.addTrack(track);
    if (audio) for (const track of (await own({ audio: true })).getTracks()) stream.addTrack(track);
    return stream;
  };
}
"""


class FirefoxMissingError(Exception):
    """No Firefox on this machine. The message has the command that installs it."""


class FirefoxPage:
    """One window."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._context = ""

    async def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of WebDriver BiDi and its result; nothing else is asked meanwhile."""
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        async with asyncio.timeout(PATIENCE):
            while True:
                message = await self._socket.receive_json()
                if message.get("id") == number:
                    assert message["type"] == "success", f"{method}: {message}"
                    return dict(message["result"])

    async def open(self, identity: Identity) -> None:
        """Make the window, with its identity."""
        await self.command("session.new", capabilities={})
        self._context = (await self.command("browsingContext.create", type="window"))["context"]
        script = "() => {" + SCRIPT + KEEP_MICROPHONE % identity.script() + "}"
        await self.command("script.addPreloadScript", functionDeclaration=script, contexts=[self._context])

    async def goto(self, url: str) -> None:
        """Load a page."""
        await self.command("browsingContext.navigate", context=self._context, url=url, wait="complete")

    async def evaluate(self, function: str, argument: object = None) -> Any:
        """What a JavaScript function returns; a promise is awaited."""
        source = f"async () => JSON.stringify((await ({function})({json.dumps(argument)})) ?? null)"
        answer = await self.command(
            "script.callFunction", functionDeclaration=source, awaitPromise=True, target={"context": self._context}
        )
        assert answer["type"] == "success", answer["exceptionDetails"]["text"]
        return json.loads(answer["result"]["value"])

    async def wait_until(self, function: str, argument: object = None, *, within: float = 20.0) -> Any:
        """What a function returns as soon as that is something true. Raises TimeoutError."""
        for _ in range(round(within / STEP)):
            if found := await self.evaluate(function, argument):
                return found
            await asyncio.sleep(STEP)
        raise TimeoutError(f"not within {within} s: {function} of {argument!r}")


@asynccontextmanager
async def firefox(identity: Identity, profile: Path) -> AsyncIterator[FirefoxPage]:
    """A Firefox of this test's own, with an empty profile, and its one window.

    Raises:
        FirefoxMissingError: it is not installed.
    """
    path = shutil.which("firefox-esr") or shutil.which("firefox")
    if path is None:
        raise FirefoxMissingError(f"Firefox is not installed. As root: {INSTALL}")
    command = [path, "--headless", "--no-remote", "--profile", str(profile), "--remote-debugging-port", "0"]
    environment = {**os.environ, "HOME": str(profile), "MOZ_CRASHREPORTER_DISABLE": "1"}
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(PATIENCE):
            while LISTENING not in (line := (await process.stderr.readline()).decode()):
                assert line, "Firefox has ended"
        url = line.partition(LISTENING)[2].strip()
        draining = asyncio.ensure_future(process.stderr.read())
        async with aiohttp.ClientSession() as session, session.ws_connect(f"{url}/session", max_msg_size=0) as socket:
            page = FirefoxPage(socket)
            await page.open(identity)
            yield page
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
    await draining


def make_profile() -> Path:
    """A folder with the preferences of a test."""
    profile = Path(tempfile.mkdtemp(prefix="firefox-"))
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in PREFERENCES.items()]
    (profile / "user.js").write_text("\n".join(lines))
    return profile
