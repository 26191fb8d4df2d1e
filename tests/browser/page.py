"""One page of a real browser: what it shows, plays and reports, read through ``page.js``."""

import colorsys
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.async_api import ConsoleMessage, Page
from playwright.async_api import TimeoutError as PlaywrightTimeoutError

SCRIPT = (Path(__file__).parent / "page.js").read_text()

PATIENCE = 20.0
"""Seconds that a page gets for what takes a moment on a busy machine."""

LISTENING_MS = 400
"""Long enough for a window of 8192 samples at 48 kHz (171 ms), and for a track that has just begun."""

COLOUR_TOLERANCE = 40
"""Of 255, a channel: what lossy coding and colour conversion may change."""

Report = dict[str, Any]
"""One object of ``getStats()``, with ``connection``: its peer connection's index in order of creation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A participant that can be told from others by picture and by sound. ``number`` is between 1 and 63."""

    number: int
    width: int = 640
    height: int = 360
    frame_rate: int = 15

    @property
    def tone(self) -> float:
        """The frequency it speaks with, in Hz."""
        return 300.0 + 100.0 * self.number

    @property
    def colour(self) -> tuple[int, int, int]:
        """The colour of its picture below the strip: neighbours in number are far apart in hue."""
        red, green, blue = colorsys.hsv_to_rgb(self.number * 0.381966 % 1.0, 0.7, 0.8)
        return round(255 * red), round(255 * green), round(255 * blue)

    def script(self) -> str:
        """JavaScript that makes a page's getUserMedia answer with this identity."""
        settings = {
            "number": self.number,
            "width": self.width,
            "height": self.height,
            "frame_rate": self.frame_rate,
            "tone": self.tone,
            "colour": "rgb({} {} {})".format(*self.colour),
        }
        return f"window.harness.become({json.dumps(settings)});"


@dataclass(frozen=True, slots=True)
class Picture:
    """What one video element shows now. ``number`` and ``count`` are None where the strip cannot be read."""

    element: str
    width: int
    height: int
    number: int | None
    count: int | None
    colour: tuple[int, int, int]

    @classmethod
    def of(cls, values: dict[str, Any]) -> "Picture":
        """The picture that ``page.js`` describes."""
        return cls(**{**values, "colour": tuple(values["colour"])})

    def shows(self, identity: Identity) -> bool:
        """Whether both the strip and the colour are this identity's."""
        differences = (abs(seen - sent) for seen, sent in zip(self.colour, identity.colour, strict=True))
        return self.number == identity.number and max(differences) <= COLOUR_TOLERANCE


@dataclass(frozen=True, slots=True)
class Tone:
    """What a received audio track sounds like: loudest frequency in Hz, level as RMS of full scale 1."""

    track: str
    frequency: float
    level: float

    def is_voice_of(self, identity: Identity) -> bool:
        """Whether this is the identity's tone, and loud enough to be heard."""
        return abs(self.frequency - identity.tone) < 10 and self.level > 0.01


@dataclass(slots=True)
class BrowserPage:
    """A page and the questions that tests ask it. ``playwright`` is the driver's own, for all the rest."""

    playwright: Page
    identity: Identity | None
    console: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        # The driver sets attributes on a bound method's object: it gets functions instead.
        self.playwright.on("console", lambda message: self._keep_message(message))
        self.playwright.on("pageerror", lambda error: self.console.append(f"uncaught: {error}"))

    def _keep_message(self, message: ConsoleMessage) -> None:
        self.console.append(f"{message.type}: {message.text}")

    async def evaluate(self, function: str, argument: object = None) -> Any:
        """What a JavaScript function returns in the page; a promise is awaited."""
        return await self.playwright.evaluate(function, argument)

    async def wait_until(self, function: str, argument: object = None, *, within: float = PATIENCE) -> Any:
        """What a JavaScript function returns, as soon as that is something true.

        Raises:
            TimeoutError: it was not within so many seconds; the message has the function.
        """
        try:
            # By timer: animation frames do not come to pages that no window shows.
            handle = await self.playwright.wait_for_function(function, arg=argument, polling=50, timeout=1000 * within)
        except PlaywrightTimeoutError as error:
            raise TimeoutError(f"not within {within} s: {function} of {argument!r}") from error
        return await handle.json_value()

    async def pictures(self) -> list[Picture]:
        """What every video element that has a frame shows now, in the order of the document."""
        return [Picture.of(values) for values in await self.evaluate("() => harness.pictures()")]

    async def sees(self, identity: Identity) -> bool:
        """Whether some video element shows this identity now."""
        return any(picture.shows(identity) for picture in await self.pictures())

    async def wait_to_see(self, identity: Identity, *, within: float = PATIENCE) -> Picture:
        """The first picture of an identity; it is decoded, drawn and read back, not only counted.

        Raises:
            TimeoutError: nothing of it is to be seen.
            AssertionError: its strip came in another's colours.
        """
        find = "number => harness.pictures().find(picture => picture.number === number)"
        picture = Picture.of(await self.wait_until(find, identity.number, within=within))
        assert picture.shows(identity), f"the strip of {identity} in other colours: {picture}"
        return picture

    async def wait_for_motion(self, identity: Identity, frames: int = 5, *, within: float = PATIENCE) -> None:
        """Return once a picture of the identity has gone on by at least ``frames`` of its frame count."""
        begin = (await self.wait_to_see(identity, within=within)).count or 0
        await self.wait_until(
            "([number, count]) => harness.pictures().some(p => p.number === number && p.count >= count)",
            [identity.number, begin + frames],
            within=within,
        )

    async def first_seen(self, identity: Identity) -> float | None:
        """Seconds on the page's clock at which the identity was first seen, to within 0.1 s, or None."""
        milliseconds = await self.evaluate("number => harness.firstSeen[number] ?? null", identity.number)
        return None if milliseconds is None else float(milliseconds) / 1000

    async def forget(self, identity: Identity) -> None:
        """Let ``first_seen`` of an identity start afresh."""
        await self.evaluate("number => { delete harness.firstSeen[number]; }", identity.number)

    async def connected_at(self, connection: int = 0) -> float | None:
        """Seconds on the page's clock at which a peer connection last became connected, or None."""
        states = await self.evaluate("() => harness.states")
        times = [s["at"] for s in states if (s["connection"], s["state"]) == (connection, "connected")]
        return times[-1] / 1000 if times else None

    async def wait_connected(self, connections: int = 1, *, within: float = PATIENCE) -> None:
        """Return once so many peer connections of the page are connected at the same time."""
        await self.wait_until(
            "n => harness.connections.filter(pc => pc.connectionState === 'connected').length >= n",
            connections,
            within=within,
        )

    async def tones(self) -> list[Tone]:
        """What every live audio track that the page receives sounds like."""
        return [Tone(**tone) for tone in await self.evaluate("ms => harness.tones(ms)", LISTENING_MS)]

    async def wait_to_hear(self, identity: Identity, *, within: float = PATIENCE) -> Tone:
        """The tone of an identity, once some received track carries it.

        Raises:
            TimeoutError: none does; the message has what is heard instead.
        """
        attempts = max(1, round(1000 * within / LISTENING_MS))
        heard: Sequence[Tone] = ()
        for _ in range(attempts):
            heard = await self.tones()
            for tone in heard:
                if tone.is_voice_of(identity):
                    return tone
            if not heard:
                await self.playwright.wait_for_timeout(LISTENING_MS)
        raise TimeoutError(f"{identity.tone} Hz not heard within {within} s, but {list(heard)}")

    async def see_and_hear(self, *others: Identity) -> None:
        """Return once the pictures of these move and their voices are heard.

        Raises:
            TimeoutError: one is missing.
        """
        for other in others:
            await self.wait_to_see(other)
            await self.wait_for_motion(other)
            await self.wait_to_hear(other)

    async def wait_until_gone(self, identity: Identity, *, within: float = PATIENCE) -> None:
        """Return once no picture of the identity is shown.

        Raises:
            TimeoutError: one still is.
        """
        gone = "number => harness.pictures().every(picture => picture.number !== number)"
        await self.wait_until(gone, identity.number, within=within)

    async def stats(self, report_type: str | None = None, /, **properties: object) -> list[Report]:
        """``getStats()`` of every peer connection that is not closed, of a type and with these properties."""
        reports: list[Report] = await self.evaluate("() => harness.stats()")
        return [
            report
            for report in reports
            if (report_type is None or report["type"] == report_type)
            and all(report.get(name) == value for name, value in properties.items())
        ]

    async def close(self) -> None:
        """Close the page as a person would: without warning to those it talks to."""
        await self.playwright.context.close()
